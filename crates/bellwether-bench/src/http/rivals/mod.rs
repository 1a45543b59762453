//! The rivals that are programs: whether they are here, and how each is told what all have in common.
//!
//! Their configurations stand beside this file, with a reason for each setting.

use std::fmt;
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Command, Stdio};

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

    /// What it says of its version; most say their name before it, and nginx says it as a complaint.
    pub(super) fn version(self) -> String {
        let Some(program) = find(self.package().program) else { return "not here".into() };
        let said = Command::new(program).arg("-v").stdin(Stdio::null()).output();
        let said = said.map_or_else(|_| Vec::new(), |said| [said.stdout, said.stderr].concat());
        version_in(&String::from_utf8_lossy(&said)).unwrap_or("of unknown version").into()
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

/// The first word that is a version, less a name before it.
fn version_in(said: &str) -> Option<&str> {
    let mut words = said.split_whitespace().filter_map(|word| word.rsplit('/').next());
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    words.find(is_version)
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
    fn a_version_is_found_in_what_a_rival_says_of_itself() {
        let check = |said, expected| assert_eq!(version_in(said), expected, "{said}");
        check("nginx version: nginx/1.22.1\n", Some("1.22.1"));
        check("HAProxy version 2.6.12-1 2026/10/17 - https://haproxy.org/", Some("2.6.12-1"));
        check("lighttpd/1.4.69 (ssl) - a light and fast webserver", Some("1.4.69"));
        check("h2o version 2.2.5\nOpenSSL: 3.0.19", Some("2.2.5"));
        check("unknown option", None);
    }

    #[test]
    fn a_port_stands_where_a_rival_wants_it() {
        let filled =
            fill("{host} {port} {address}", Path::new("/"), "1.2.3.4:5".parse().unwrap(), "");
        assert_eq!(filled, "1.2.3.4 5 1.2.3.4:5");
    }
}
