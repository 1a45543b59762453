//! The first line of a script: which interpreter it is for.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much of a first line the kernel reads (BINPRM_BUF_SIZE).
const LONGEST: u64 = 256;

/// The command of a script's first line, if the file is one.
pub(crate) fn command(path: &Path) -> Option<Vec<OsString>> {
    // A pipe in this place would be waited for.
    if !path.is_file() {
        return None;
    }
    let mut start = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let words: Vec<_> =
        String::from_utf8_lossy(line).split_whitespace().map(OsString::from).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_read_from_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &[u8], expected: Option<&[&str]>| {
            let path = folder.path().join("script");
            std::fs::write(&path, text).unwrap();
            let expected = expected.map(|words| words.iter().map(OsString::from).collect());
            assert_eq!(command(&path), expected, "{}", String::from_utf8_lossy(text));
        };
        check(b"#!/usr/bin/python3 -u\nimport x", Some(&["/usr/bin/python3", "-u"]));
        check(b"#! /usr/bin/env -S node --x\n", Some(&["/usr/bin/env", "-S", "node", "--x"]));
        check(b"#!\n", None);
        check(b"\x7fELF", None);
        check(b"", None);
        assert_eq!(command(folder.path()), None, "a folder");
        assert_eq!(command(Path::new("/nowhere/at/all")), None);
    }
}
