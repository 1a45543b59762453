//! Whether a rival is on this machine, and how it gets there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of Debian.
pub(super) struct Package {
    /// Where it is; a version may follow the name.
    pub(super) program: &'static str,
    pub(super) name: &'static str,
}

impl Package {
    /// Why the program is not here, if it is not; `install` lets apt-get bring it.
    pub(super) fn missing(&self, install: bool) -> Option<String> {
        let name = self.name;
        if find(self.program).is_some() {
            return None;
        }
        if !install {
            return Some(format!("{name} is not installed; as root on Debian, --install does it"));
        }
        eprintln!("installing {name}");
        let update = apt_get(&["update", "-qq"]);
        let installed =
            update && apt_get(&["install", "-qq", "-y", "--no-install-recommends", name]);
        (!installed || find(self.program).is_none())
            .then(|| format!("apt-get cannot install {name}"))
    }
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.output().is_ok_and(|output| output.status.success())
}

/// The program, or the newest of its versions.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = Path::new(program);
    let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
    let is_version = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let entries =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let versions = entries.filter(|entry| entry.strip_prefix(name).is_some_and(is_version));
    versions.max().map(|newest| folder.join(newest))
}
