//! Where a server lets its observer listen: where nobody but this machine comes.

use std::net::SocketAddr;

use bellwether::Address;

use super::written::Value;

const FORM: &str =
    "an address on this machine such as \"127.0.0.1:9180\" or \"unix:/run/shop-observer.sock\"";

/// An address that only this machine reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dashboard(pub(crate) Address);

impl Value for Dashboard {
    const FORM: &'static str = FORM;
    const PATTERN: &'static str =
        "^(unix:.+|/.+|(tcp://)?(localhost|127\\.[0-9.]+|\\[::1\\]):[0-9]+)";

    fn read(text: &str) -> Result<Self, String> {
        let address: Address =
            text.parse().map_err(|error: bellwether::Error| error.to_string())?;
        match is_here(&address.to_string()) {
            true => Ok(Self(address)),
            false => Err(format!(
                "`{text}` is no place of this machine alone, and there is no password; write {FORM}, or \
                 start `bellwether observe --public` beside the server"
            )),
        }
    }
}

fn is_here(address: &str) -> bool {
    let Some(place) = address.strip_prefix("tcp://") else { return address.starts_with("unix:") };
    let place = place.split('?').next().unwrap_or_default();
    let is_loopback = |it: SocketAddr| it.ip().is_loopback();
    place.parse().is_ok_and(is_loopback) || place.starts_with("localhost:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dashboard_is_for_this_machine_alone() {
        let check = |text: &str, is_right| {
            assert_eq!(Dashboard::read(text).is_ok(), is_right, "{text}");
        };
        for text in ["127.0.0.1:9180", "localhost:1", "[::1]:0", "unix:/run/x.sock", "/run/x.sock"]
        {
            check(text, true);
        }
        for text in
            [":9180", "0.0.0.0:1", "192.0.2.1:80", "example.org:80", "fd:3", "systemd:", "x"]
        {
            check(text, false);
        }
    }
}
