//! Becoming another program in the same process.

use std::ffi::{CString, OsString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What a program is given: its arguments, the first being its name, and its environment.
#[derive(Debug)]
pub(crate) struct Calling {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Calling {
    /// Calls a program as this one was called, with these variables set or (`None`) removed.
    pub(crate) fn like_this_one(changes: &[(&str, Option<String>)]) -> io::Result<Self> {
        Self::with(own_arguments(), changes)
    }

    /// Calls a program with these arguments, the first being its name.
    pub(crate) fn with(
        arguments: Vec<Vec<u8>>,
        changes: &[(&str, Option<String>)],
    ) -> io::Result<Self> {
        let arguments = arguments.into_iter().map(OsString::from_vec).map(c_string);
        let arguments = arguments.collect::<io::Result<_>>()?;
        let changed = |name: &OsString| changes.iter().any(|(changed, _)| name == changed);
        let kept = std::env::vars_os().filter(|(name, _)| !changed(name));
        let kept = kept.map(|(name, value)| assignment(name, value));
        let set = changes.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let set = set.map(|(name, value)| assignment(name.into(), value.into()));
        Ok(Self { arguments, environment: kept.chain(set).collect::<io::Result<_>>()? })
    }
}

/// Returns the arguments that this program was called with, its name first.
pub(crate) fn own_arguments() -> Vec<Vec<u8>> {
    std::env::args_os().map(OsStringExt::into_vec).collect()
}

/// Returns where this program was called, links in the path kept as they are.
///
/// Whoever puts another program behind the same link means that one to come next. Where the
/// name that the program was called by leads elsewhere, it is the path that the kernel says.
pub(crate) fn own_path() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let candidates = if called.components().count() > 1 {
        vec![std::env::current_dir().unwrap_or_default().join(called)]
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).map(|folder| folder.join(&called)).collect()
    };
    let is_this = |path: &PathBuf| std::fs::canonicalize(path).is_ok_and(|it| it == own);
    candidates.into_iter().find(is_this).unwrap_or(own)
}

fn assignment(mut name: OsString, value: OsString) -> io::Result<CString> {
    name.push("=");
    name.push(value);
    c_string(name)
}

fn c_string(text: OsString) -> io::Result<CString> {
    Ok(CString::new(text.into_vec())?)
}

/// Replaces the program of this process by the one behind a descriptor; returns only to say why not.
///
/// Descriptors without FD_CLOEXEC, pending and blocked signals, children and the sub-reaper
/// attribute stay (execve(2), prctl(2)); memory and threads go.
pub(crate) fn replace(program: impl AsFd, calling: &Calling) -> io::Error {
    let arguments = pointers(&calling.arguments);
    let environment = pointers(&calling.environment);
    let fd = program.as_fd().as_raw_fd();
    // SAFETY: both arrays end with a null pointer and point to strings that end with NUL, which
    // `calling` keeps alive; when the call succeeds nothing of this program runs any more.
    unsafe { libc::fexecve(fd, arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|it| it.as_ptr()).chain([std::ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_says_why() {
        let file = tempfile::tempfile().unwrap();
        let calling = Calling::like_this_one(&[("PATH", None), ("X", Some("1".into()))]).unwrap();
        assert!(calling.environment.contains(&CString::new("X=1").unwrap()));
        assert!(!calling.environment.iter().any(|it| it.as_bytes().starts_with(b"PATH=")));
        let refusal = replace(&file, &calling);
        assert_eq!(refusal.raw_os_error(), Some(libc::EACCES), "{refusal}");
    }
}
