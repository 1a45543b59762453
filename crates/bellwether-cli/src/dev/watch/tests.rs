//! Trees that change.

use std::fs;

use tempfile::TempDir;

use super::*;

fn shop() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    fs::create_dir_all(path.join("src/deep")).unwrap();
    fs::create_dir_all(path.join("node_modules/x")).unwrap();
    fs::write(path.join("src/app.py"), "old").unwrap();
    fs::write(path.join(".gitignore"), "out/\n").unwrap();
    (folder, path)
}

/// What the kernel has told by now; it tells of a change before the call that made it returns.
#[track_caller]
fn assert_changes(watch: &mut Watch, folder: &Path, expected: &[&str]) {
    let changes: BTreeSet<_> = watch.changes().into_iter().collect();
    let expected: BTreeSet<_> = expected.iter().map(|it| folder.join(it)).collect();
    assert_eq!(changes, expected);
}

#[test]
fn what_counts_is_told_and_nothing_else() {
    let (_folder, path) = shop();
    let mut watch = Watch::begin(&path, &[], &[]).unwrap();
    assert_eq!(watch.folders(), 3);
    assert_changes(&mut watch, &path, &[]);
    fs::write(path.join("src/app.py"), "new").unwrap();
    fs::write(path.join("src/app.pyc"), "new").unwrap();
    fs::write(path.join("node_modules/x/index.js"), "new").unwrap();
    assert_changes(&mut watch, &path, &["src/app.py"]);
    fs::read(path.join("src/app.py")).unwrap();
    assert_changes(&mut watch, &path, &[]);
    fs::write(path.join("src/deep/x"), "new").unwrap();
    fs::rename(path.join("src/deep/x"), path.join("src/app.py")).unwrap();
    let mut changes = watch.changes();
    watch.leave_out_what_passed(&mut changes);
    assert_eq!(changes, [path.join("src/app.py")]);
    fs::remove_file(path.join("src/app.py")).unwrap();
    assert_changes(&mut watch, &path, &["src/app.py"]);
}

#[test]
fn folders_are_watched_as_they_come_and_go() {
    let (_folder, path) = shop();
    let mut watch = Watch::begin(&path, &[], &[]).unwrap();
    fs::create_dir_all(path.join("new/deep")).unwrap();
    fs::write(path.join("new/deep/a.py"), "1").unwrap();
    assert_changes(&mut watch, &path, &["new/deep/a.py"]);
    fs::write(path.join("new/deep/a.py"), "2").unwrap();
    assert_changes(&mut watch, &path, &["new/deep/a.py"]);
    fs::rename(path.join("new"), path.join("src/new")).unwrap();
    assert_changes(&mut watch, &path, &["new", "src/new/deep/a.py"]);
    fs::write(path.join("src/new/deep/a.py"), "3").unwrap();
    assert_changes(&mut watch, &path, &["src/new/deep/a.py"]);
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join("out/a.js"), "1").unwrap();
    assert_changes(&mut watch, &path, &[]);
}

#[test]
fn what_git_ignores_is_read_anew() {
    let (_folder, path) = shop();
    let mut watch = Watch::begin(&path, &[], &[]).unwrap();
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join(".gitignore"), "src/app.py\n").unwrap();
    assert_changes(&mut watch, &path, &[]);
    fs::write(path.join("out/a.js"), "1").unwrap();
    fs::write(path.join("src/app.py"), "1").unwrap();
    assert_changes(&mut watch, &path, &["out/a.js"]);
}

#[test]
fn what_is_named_counts_in_any_case_and_comes_back() {
    let (_folder, path) = shop();
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join(".env"), "A=1").unwrap();
    let named = [path.join("out"), path.join(".env")];
    let mut watch = Watch::begin(&path, &named, &[]).unwrap();
    fs::write(path.join("src/app.py"), "1").unwrap();
    assert_changes(&mut watch, &path, &[]);
    fs::write(path.join(".env"), "A=2").unwrap();
    fs::write(path.join("out/a.js"), "1").unwrap();
    assert_changes(&mut watch, &path, &[".env", "out/a.js"]);
    fs::remove_dir_all(path.join("out")).unwrap();
    assert_changes(&mut watch, &path, &["out", "out/a.js"]);
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join("out/a.js"), "2").unwrap();
    assert_changes(&mut watch, &path, &["out/a.js"]);
    fs::write(path.join("out/a.js"), "3").unwrap();
    assert_changes(&mut watch, &path, &["out/a.js"]);
}

#[test]
fn what_is_not_there_is_told_with_what_to_try() {
    let (_folder, path) = shop();
    let error = Watch::begin(&path, &[path.join("none")], &[]).unwrap_err();
    assert!(error.to_string().contains("name a file or a folder"), "{error}");
    assert_eq!(error.exit_code(), 78);
    let full = cannot_watch(&path, Errno::NOSPC.into()).to_string();
    assert!(full.contains("max_user_watches") && full.contains("--ignore"), "{full}");
}
