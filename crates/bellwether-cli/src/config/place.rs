//! Addresses as texts: their places, their options, and which stand in each other's way.

use std::path::Path;

use bellwether::{Address, Options};

/// An address without its options.
pub(crate) fn place(address: &Address) -> String {
    let text = address.to_string();
    text.split('?').next().unwrap_or_default().into()
}

/// The options of an address.
pub(crate) fn options(address: &Address) -> Options {
    let text = address.to_string();
    text.split_once('?').and_then(|(_, query)| query.parse().ok()).unwrap_or_default()
}

/// The path of a socket file, without those in the abstract namespace.
pub(crate) fn socket_file(place: &str) -> Option<&Path> {
    place.strip_prefix("unix:").filter(|path| !path.starts_with('@')).map(Path::new)
}

/// The same address, its path taken as one from this folder where it is relative.
pub(crate) fn resolved(address: &Address, folder: &Path) -> Address {
    let text = address.to_string();
    let relative = socket_file(&text).filter(|path| path.is_relative());
    let absolute = relative.map(|path| format!("unix:{}", folder.join(path).display()));
    absolute.and_then(|text| text.parse().ok()).unwrap_or_else(|| address.clone())
}

/// Tells whether only one of two addresses could be opened.
pub(crate) fn collide(one: &Address, other: &Address) -> bool {
    let (one, other) = (clients(one), clients(other));
    match (one.strip_prefix("tcp://"), other.strip_prefix("tcp://")) {
        (Some(one), Some(other)) => sockets_collide(one, other),
        _ => one == other,
    }
}

/// The place of an address by the clients that it takes: `[::]` takes those of IPv4 too.
fn clients(address: &Address) -> String {
    match place(address).strip_prefix("tcp://[::]:") {
        Some(port) if options(address).v6only != Some(true) => format!("tcp://*:{port}"),
        _ => place(address),
    }
}

fn sockets_collide(one: &str, other: &str) -> bool {
    let (Some((host, port)), Some((other_host, other_port))) =
        (one.rsplit_once(':'), other.rsplit_once(':'))
    else {
        return false;
    };
    // Each time port 0 is opened, the kernel chooses another.
    port == other_port && port != "0" && (covers(host, other_host) || covers(other_host, host))
}

/// Tells whether a socket for one host also takes the clients of another.
fn covers(host: &str, other: &str) -> bool {
    match host {
        "*" => true,
        "0.0.0.0" => !other.starts_with('['),
        _ => host == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_collide_when_both_cannot_be_opened() {
        let check = |one: &str, other: &str, expected: bool| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(collide(&one, &other), expected, "{one} {other}");
            assert_eq!(collide(&other, &one), expected, "{other} {one}");
        };
        check("127.0.0.1:80", "127.0.0.1:80?backlog=5", true);
        check("127.0.0.1:80", ":80", true);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("[::1]:80", "0.0.0.0:80", false);
        check("[::]:80", "0.0.0.0:80", true);
        check("[::]:80?v6only=on", "0.0.0.0:80", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("unix:/a", "/a?mode=600", true);
        check("unix:@a", "unix:/a", false);
        check("systemd:web", "systemd:web", true);
        check("systemd:web", "systemd:api", false);
    }

    #[test]
    fn relative_paths_begin_at_a_folder() {
        let check = |text: &str, expected: &str| {
            let address = resolved(&text.parse().unwrap(), Path::new("/srv/shop"));
            assert_eq!(address.to_string(), expected);
        };
        check("unix:run/web.sock?mode=660", "unix:/srv/shop/run/web.sock?mode=660");
        check("unix:/run/web.sock", "unix:/run/web.sock");
        check("unix:@web", "unix:@web");
        check("127.0.0.1:80", "tcp://127.0.0.1:80");
    }
}
