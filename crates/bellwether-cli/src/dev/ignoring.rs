//! Which files count: not what git ignores, nor what no program is made of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bellwether::{Error, Result};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What is left out unless the user says otherwise, in the words of .gitignore.
///
/// Hidden files, what tools install or build, what programs write while they run, and what editors
/// leave behind (vim tries whether it may write with `4913`).
const LEFT_OUT: [&str; 25] = [
    ".*",
    "node_modules/",
    "target/",
    "venv/",
    "__pycache__/",
    "*.pyc",
    "*.pyo",
    "*.log",
    "*.pid",
    "*.sock",
    "*.db",
    "*.sqlite",
    "*.sqlite3",
    "*-journal",
    "*-wal",
    "*-shm",
    "*.tmp",
    "*.bak",
    "*.swp",
    "*.swx",
    "*.part",
    "*~",
    "4913",
    r"\#*#",
    "*___jb_???___",
];

/// What is known about files that do not count.
#[derive(Debug)]
pub(super) struct Ignoring {
    /// Our own rules, and behind them the user's.
    own: Gitignore,
    /// The rules of .gitignore files, by their folders.
    folders: HashMap<PathBuf, Gitignore>,
    /// What git ignores everywhere.
    everywhere: Gitignore,
}

impl Ignoring {
    /// Begins with what holds everywhere; the user's patterns are read as from this folder.
    pub(super) fn from(folder: &Path, patterns: &[String]) -> Result<Self> {
        let mut rules = GitignoreBuilder::new(folder);
        for pattern in LEFT_OUT.into_iter().chain(patterns.iter().map(String::as_str)) {
            rules.add_line(None, pattern).map_err(|error| wrong(pattern, &error))?;
        }
        let own = rules.build().map_err(|error| wrong("the patterns", &error))?;
        // What cannot be read of the user's global file is as if it were not there.
        let everywhere = Gitignore::global().0;
        Ok(Self { own, folders: HashMap::new(), everywhere })
    }

    /// Reads what git knows of a tree that is to be watched: what stands above and beside it.
    pub(super) fn learn_above(&mut self, root: &Path) {
        let Some(top) = root.ancestors().find(|it| it.join(".git").exists()) else { return };
        let within = |folder: &&Path| folder.starts_with(top);
        root.ancestors().take_while(within).for_each(|folder| self.learn(folder));
    }

    /// Reads the rules that a folder has for what is in it, or forgets what was read of it.
    pub(super) fn learn(&mut self, folder: &Path) {
        // Of two that contradict each other the later one holds, which is .gitignore.
        let files = [".git/info/exclude", ".gitignore"].map(|name| folder.join(name));
        let mut rules = GitignoreBuilder::new(folder);
        let mut any = false;
        for file in files.iter().filter(|file| file.is_file()) {
            // A line that cannot be read is left out, as git does it.
            let _ = rules.add(file);
            any = true;
        }
        match rules.build() {
            Ok(rules) if any => drop(self.folders.insert(folder.into(), rules)),
            _ => drop(self.folders.remove(folder)),
        }
    }

    /// Tells whether a change of this path counts, the folders above it being watched.
    pub(super) fn counts(&self, path: &Path, is_folder: bool) -> bool {
        let near = path.ancestors().skip(1).filter_map(|folder| self.folders.get(folder));
        let all = std::iter::once(&self.own).chain(near).chain([&self.everywhere]);
        // The first that has an opinion: ours and the user's, then that of the nearest file.
        let said = all.map(|rules| rules.matched(path, is_folder)).find(|it| !it.is_none());
        !matches!(said, Some(Match::Ignore(_)))
    }
}

fn wrong(pattern: &str, error: &ignore::Error) -> Error {
    let problem = format!("`{pattern}` is not possible: {error}; write it as in .gitignore");
    Error::Configure { what: "ignore".into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_program_is_made_of_does_not_count() {
        let ignoring = Ignoring::from(Path::new("/shop"), &[]).unwrap();
        let check = |path: &str, is_folder: bool, expected: bool| {
            let path = Path::new("/shop").join(path);
            assert_eq!(ignoring.counts(&path, is_folder), expected, "{}", path.display());
        };
        check("app.py", false, true);
        check("src", true, true);
        check("src/target", false, true);
        check("src/target", true, false);
        check("node_modules", true, false);
        check(".git", true, false);
        check("src/.app.py.swp", false, false);
        check("app.pyc", false, false);
        check("#app.py#", false, false);
        check("app.py~", false, false);
        check("4913", false, false);
        check("shop.sqlite3-journal", false, false);
        check("app.py___jb_tmp___", false, false);
    }

    #[test]
    fn the_user_has_the_last_word() {
        let patterns = ["uploads/", "!.env", "!*.log", "/only/here"].map(String::from);
        let ignoring = Ignoring::from(Path::new("/shop"), &patterns).unwrap();
        let check = |path: &str, is_folder: bool, expected: bool| {
            assert_eq!(ignoring.counts(Path::new(path), is_folder), expected, "{path}");
        };
        check("/shop/uploads", true, false);
        check("/shop/.env", false, true);
        check("/shop/deep/x.log", false, true);
        check("/shop/only/here", false, false);
        check("/shop/not/only/here", false, true);
        check("/elsewhere/.env", false, true);
        check("/elsewhere/.git", true, false);
        assert!(Ignoring::from(Path::new("/shop"), &["[z-a]".into()]).is_err());
    }

    #[test]
    fn the_nearest_file_of_git_decides() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        std::fs::create_dir_all(top.join(".git/info")).unwrap();
        std::fs::create_dir_all(top.join("app/deep")).unwrap();
        std::fs::write(top.join(".git/info/exclude"), "/mine\n").unwrap();
        std::fs::write(top.join(".gitignore"), "*.out\n/app/built/\n").unwrap();
        std::fs::write(top.join("app/deep/.gitignore"), "!keep.out\nother\n").unwrap();
        let mut ignoring = Ignoring::from(&top.join("app"), &[]).unwrap();
        ignoring.learn_above(&top.join("app"));
        ignoring.learn(&top.join("app/deep"));
        let check = |ignoring: &Ignoring, path: &str, is_folder: bool, expected: bool| {
            assert_eq!(ignoring.counts(&top.join(path), is_folder), expected, "{path}");
        };
        check(&ignoring, "app/x.out", false, false);
        check(&ignoring, "app/built", true, false);
        check(&ignoring, "app/deep/built", true, true);
        check(&ignoring, "app/deep/keep.out", false, true);
        check(&ignoring, "app/deep/other", false, false);
        check(&ignoring, "app/other", false, true);
        check(&ignoring, "mine", false, false);
        std::fs::remove_file(top.join("app/deep/.gitignore")).unwrap();
        ignoring.learn(&top.join("app/deep"));
        check(&ignoring, "app/deep/keep.out", false, false);
    }
}
