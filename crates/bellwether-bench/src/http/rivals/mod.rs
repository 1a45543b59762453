//! The rivals that are programs: whether they are here, and how each is told what all have in common.
//!
//! Their configurations stand beside this file, with a reason for each setting.

use std::fmt;
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::hello::HELLO;
use crate::site::packages::{Package, find};

/// A server that is configured by a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rival {
    Nginx,
    Haproxy,
    Lighttpd,
    H2o,
}

impl Rival {
    fn package(self) -> Package {
        match self {
            Self::Nginx => Package { program: "/usr/sbin/nginx", name: "nginx-light" },
            Self::Haproxy => Package { program: "/usr/sbin/haproxy", name: "haproxy" },
            Self::Lighttpd => Package { program: "/usr/sbin/lighttpd", name: "lighttpd" },
            Self::H2o => Package { program: "/usr/bin/h2o", name: "h2o" },
        }
    }

    pub(super) fn missing(self) -> Option<String> {
        let Package { program, name } = self.package();
        find(program).is_none().then(|| format!("{name} is not installed"))
    }

    fn configuration(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("nginx.conf"),
            Self::Haproxy => include_str!("haproxy.cfg"),
            Self::Lighttpd => include_str!("lighttpd.conf"),
            Self::H2o => include_str!("h2o.conf"),
        }
    }

    /// Writes what it needs into the folder, and returns its command.
    pub(super) fn command(self, folder: &Path, address: SocketAddrV4) -> Result<Vec<String>> {
        let program = find(self.package().program).with_context(|| format!("{self} has gone"))?;
        let site = folder.join("site");
        fs::create_dir_all(&site)?;
        fs::write(site.join("hello"), HELLO)?;
        let configuration = folder.join("configuration").to_string_lossy().into_owned();
        let user = if rustix::process::geteuid().is_root() { "user: root" } else { "" };
        fs::write(&configuration, fill(self.configuration(), folder, address, user))?;
        let flags: &[&str] = match self {
            Self::Nginx => &["-c"],
            Self::Haproxy => &["-db", "-f"],
            Self::Lighttpd => &["-D", "-f"],
            Self::H2o => &["--mode", "worker", "--conf"],
        };
        let program = program.to_string_lossy();
        let words = [&[&*program], flags, &[&*configuration]].concat();
        Ok(words.into_iter().map(Into::into).collect())
    }
}

/// The configuration of this run.
fn fill(text: &str, folder: &Path, address: SocketAddrV4, user: &str) -> String {
    text.replace("{folder}", &folder.to_string_lossy())
        .replace("{address}", &address.to_string())
        .replace("{host}", &address.ip().to_string())
        .replace("{port}", &address.port().to_string())
        .replace("{user}", user)
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Lighttpd => "lighttpd",
            Self::H2o => "h2o",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blank_of_a_configuration_is_filled() {
        let (folder, address) = (Path::new("/tmp/x"), "127.0.0.1:8081".parse().unwrap());
        for rival in [Rival::Nginx, Rival::Haproxy, Rival::Lighttpd, Rival::H2o] {
            let filled = fill(rival.configuration(), folder, address, "user: root");
            for blank in ["{folder}", "{address}", "{host}", "{port}", "{user}"] {
                assert!(!filled.contains(blank), "{rival}: {blank}");
            }
            assert!(filled.contains("8081") && filled.contains(" 2"), "{rival}");
        }
    }

    #[test]
    fn a_port_stands_where_a_rival_wants_it() {
        let filled =
            fill("{host} {port} {address}", Path::new("/"), "1.2.3.4:5".parse().unwrap(), "");
        assert_eq!(filled, "1.2.3.4 5 1.2.3.4:5");
    }
}
