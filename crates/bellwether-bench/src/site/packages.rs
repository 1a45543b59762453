//! Whether a rival, or a tool, is on this machine, and how it gets there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of Debian.
pub(crate) struct Package {
    /// Where it is, or its name for one that `PATH` knows; a version may follow.
    pub(crate) program: &'static str,
    pub(crate) name: &'static str,
}

impl Package {
    /// Why the program is not here, if it is not; `install` lets apt-get bring it.
    pub(crate) fn missing(&self, install: bool) -> Option<String> {
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

/// The program, or the newest of its versions in the first folder that has any.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = Path::new(program);
    let name = path.file_name()?.to_str()?;
    if path.components().count() > 1 {
        return newest(path.parent()?, name);
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).find_map(|folder| newest(&folder, name))
}

fn newest(folder: &Path, name: &str) -> Option<PathBuf> {
    let is_version = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let entries =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let versions = entries.filter(|entry| entry.strip_prefix(name).is_some_and(is_version));
    versions.max().map(|newest| folder.join(newest))
}
