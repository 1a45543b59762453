//! A directory that can be served, and what lies in it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use bellwether::{Error, Result};
use percent_encoding::percent_decode_str;

/// A directory that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Looks whether there is a directory that this user may enter.
    ///
    /// Links on the way to it are not resolved: whoever replaces one puts other files online.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let wrong = |problem: String| Error::Configure {
            what: format!("directory {}", path.display()),
            problem: format!(
                "{problem}; give the path of a directory whose files are to be served"
            ),
        };
        let found = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if !found.is_dir() {
            return Err(wrong("it is not a directory".into()));
        }
        rustix::fs::access(path, rustix::fs::Access::EXEC_OK)
            .map_err(|errno| wrong(std::io::Error::from(errno).to_string()))?;
        std::path::absolute(path).map(Self).map_err(|error| wrong(error.to_string()))
    }

    /// Returns its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Tells where the path of a request leads within it; `None` if it would lead out of it.
    ///
    /// By the rules of tower-http, which reads the files: no `..` in whatever form, no second root,
    /// nothing but UTF-8. That another server is named (`//host`) is no way in either.
    pub(crate) fn place(&self, path: &str) -> Option<PathBuf> {
        if path.starts_with("//") {
            return None;
        }
        let decoded = percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
        let inside = Path::new(&*decoded);
        let harmless = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        let fine = !decoded.contains('\0') && inside.components().all(harmless);
        fine.then(|| self.0.join(inside))
    }
}

/// Tells whether a path leads to what is hidden: by a name that begins with a dot.
///
/// `/.well-known/` is where everybody looks (RFC 8615), at the top alone.
pub(super) fn is_hidden(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut names = decoded.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
    names.next_if_eq(&".well-known");
    names.any(|name| name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_can_be_served() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Folder::at(place.path()).is_ok());
        for (wrong, hint) in
            [(place.path().join("none"), "No such file"), (file, "not a directory")]
        {
            let error = Folder::at(&wrong).unwrap_err();
            assert_eq!(error.exit_code(), 78);
            assert!(error.to_string().contains(hint), "{error}");
            assert!(error.to_string().contains(wrong.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_directory() {
        let folder = Folder("/site".into());
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(folder.place(path), expected.map(PathBuf::from), "{path}");
        };
        check("/", Some("/site"));
        check("/sub/", Some("/site/sub"));
        check("/a%20b/./c", Some("/site/a b/./c"));
        check("/..%5cx", Some("/site/..\\x")); // the name of a file, on Linux
        check("/...", Some("/site/..."));
        for way_out in [
            "/..",
            "/../x",
            "/sub/../x",
            "/%2e%2e/x",
            "/%2E./x",
            "/..%2fx",
            "/%2fetc",
            "//etc",
            "//host/",
            "/a%00b",
            "/%00",
            "/%ff",
            "/sub/%2e%2e",
        ] {
            check(way_out, None);
        }
    }

    #[test]
    fn a_dot_hides_what_follows_it() {
        let check = |path: &str, expected| assert_eq!(is_hidden(path), expected, "{path}");
        check("/", false);
        check("/a.b/", false);
        check("/./a/", false);
        check("/.git/", true);
        check("/.env", true);
        check("/a/%2egit/x/", true);
        check("/.well-known/acme-challenge/x", false);
        check("//.well-known/x", false);
        check("/.well-known/.git/config", true);
        check("/a/.well-known/x", true);
        check("/.well-known.txt", true);
    }
}
