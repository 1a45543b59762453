//! What is wrong with a configuration file is told with its line, its column and what to try.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::stage::PROGRAM;

/// Files with one mistake: the text, where the mistake is, and words that are said about it.
///
/// A pool that is begun with `[pool.web]` alone on its line is given an address.
const WRONG: &[(&str, &str, &[&str])] = &[
    // What is no TOML.
    ("name = shop", "1:8", &["must be quoted", "between quotes"]),
    ("name = \"shop", "1:13", &["close the text with a quote"]),
    ("name = 'shop", "1:13", &["close the text with a quote"]),
    ("name", "1:5", &["no value", "key = value"]),
    ("= \"shop\"", "1:1", &["key = value"]),
    ("name = \"\\q\"", "1:10", &["backslash"]),
    ("name = \"a\" threads = 1", "1:12", &["begin a new line"]),
    ("[pool.web", "1:10", &["unclosed table", "with ]"]),
    ("[pool.web]\nthreads = 01", "3:11", &["zero"]),
    ("[pool.web]\nthreads = 1\nthreads = 2", "4:1", &["duplicate key", "remove one"]),
    ("[pool.web]\n[pool.web]", "3:7", &["duplicate key", "remove one"]),
    ("allow = { read = []", "1:20", &["unclosed inline table", "with }"]),
    // Keys that are not known.
    ("nam = \"shop\"\n[pool.web]", "1:1", &["`nam`", "did you mean `name`?"]),
    ("[pools.web]", "1:2", &["`pools`", "did you mean `pool`?"]),
    ("[pool.web]\nthread = 2", "3:1", &["`thread`", "did you mean `threads`?"]),
    ("[pool.web]\nstop_grace = '1s'", "3:1", &["`stop_grace`", "did you mean `stop-grace`?"]),
    ("[pool.web]\nhradlers = 2", "3:1", &["`hradlers`", "did you mean `handlers`?"]),
    ("[pool.web]\ncolour = 'red'", "3:1", &["`colour`", "there are serve, "]),
    ("allow = { raed = [] }\n[pool.web]", "1:11", &["`raed`", "did you mean `read`?"]),
    ("pool.web.name = 'x'\npool.web.listen = [':1']", "1:10", &["`name`"]),
    // Types.
    ("name = 5\n[pool.web]", "1:8", &["integer `5`", "a name of letters"]),
    ("pool = 3", "1:8", &["integer `3`", "a table"]),
    ("allow = 'all'\n[pool.web]", "1:9", &["string \"all\"", "a table"]),
    ("[pool.web]\nserve = true", "3:9", &["boolean `true`", "a text between quotes"]),
    ("[pool.web]\nthreads = '2'", "3:11", &["string \"2\"", "a whole number"]),
    ("[pool.web]\nthreads = 1.5", "3:11", &["floating point `1.5`", "a whole number"]),
    ("[pool.web]\nhandlers = true", "3:12", &["boolean `true`", "MIN..MAX"]),
    ("[pool.web]\nshed = 'on'", "3:8", &["string \"on\"", "true or false"]),
    ("[pool.web]\nstop-grace = []", "3:14", &["sequence", "a time such as"]),
    ("[pool.web]\nnotification = 2", "3:16", &["integer `2`", "\"some:K\""]),
    ("[pool.api]\nlisten = ':1'", "2:10", &["string \":1\"", "a list"]),
    ("[pool.api]\nlisten = [':1', 5]", "2:17", &["integer `5`", "an address such as"]),
    ("[pool.api]\nlisten = 2026-11-22", "2:10", &["write a list"]),
    // Values that cannot be read.
    ("log-format = 'xml'\n[pool.web]", "1:14", &["`xml`", "\"pretty\", \"json\""]),
    ("log-file = '-'\n[pool.web]", "1:12", &["standard error", "leave it out"]),
    ("log-format = 'journald'\nlog-file = 'x'\n[pool.web]", "2:12", &["keeps its own files"]),
    ("dashboard = ':9180'\n[pool.web]", "1:13", &["`:9180`", "observe --public"]),
    ("name = 'a/b'\n[pool.web]", "1:8", &["`a/b`", "letters"]),
    ("[pool.'a b']\nlisten = [':1']", "1:7", &["`a b`", "letters"]),
    ("[pool.api]\nlisten = ['localhost']", "2:11", &["port is missing", "HOST:PORT"]),
    ("[pool.api]\nlisten = [':1', '::1:80']", "2:17", &["brackets"]),
    ("[pool.api]\nlisten = [':1?speed=9']", "2:11", &["`speed`", "backlog"]),
    ("[pool.web]\nnotification = 'some:0'", "3:16", &["some:0", "K from 1"]),
    ("[pool.web]\nhandlers = 'many'", "3:12", &["`many`", "MIN..MAX"]),
    ("[pool.web]\nhandlers = -1", "3:12", &["`-1`", "MIN..MAX"]),
    ("[pool.web]\nthreads = -1", "3:11", &["`-1`", "a whole number"]),
    ("[pool.web]\ncanary = 'soon'", "3:10", &["`soon`", "500ms"]),
    ("[pool.web]\nmax-memory = 'much'", "3:14", &["`much`", "512MiB"]),
    ("[pool.web]\nmemory-pressure = 'high'", "3:19", &["`high`", "20%"]),
    ("[pool.web]\nmax-surge = '101%'", "3:13", &["101%", "25%"]),
    ("allow = { read = ['uid:1', 'root'] }\n[pool.web]", "1:28", &["`root`", "uid:N"]),
    ("allow.admin = ['gid:x']\n[pool.web]", "1:16", &["`gid:x`", "gid:N"]),
    // Ranges.
    ("[pool.web]\nhandlers = 0", "3:12", &["0 is not possible", "1 to 4096"]),
    ("[pool.web]\nhandlers = 5000", "3:12", &["5000 is not possible", "1 to 4096"]),
    ("[pool.web]\nthreads = 0", "3:11", &["0 is not possible", "1 to 1024"]),
    ("[pool.web]\nthreads = 2000", "3:11", &["2000 is not possible", "1 to 1024"]),
    ("[pool.web]\nconnections = 0", "3:15", &["0 is not possible", "1 to 1048576"]),
    ("[pool.web]\nlabel-requests = 'all'", "3:18", &["string \"all\"", "true or false"]),
    ("[pool.web]\nstop-grace = '2days'", "3:14", &["2days", "0s to 1day"]),
    ("[pool.web]\nboot-timeout = 0", "3:16", &["0s", "1ms to 1day"]),
    ("[pool.web]\nmax-memory = 512", "3:14", &["512 B", "at least 1.0 MiB"]),
    ("[pool.web]\nmemory-pressure = '200%'", "3:19", &["200% is not possible", "100%"]),
    ("[pool.web]\nmax-requests = 0", "3:16", &["0 is not possible", "at least 1"]),
    ("[pool.web]\nmax-age = 0", "3:11", &["0s", "1s to"]),
    ("[pool.web]\ncrash-budget = 0", "3:16", &["0 is not possible", "at least 1"]),
    ("[pool.web]\nold-generations = 9999", "3:19", &["9999", "0 to 1000"]),
    // Contradictions, and what is missing.
    ("", "1:1", &["there is no pool", "[pool.web]"]),
    ("name = 'shop'\n[pool]", "2:1", &["there is no pool", "[pool.web]"]),
    ("[pool.api]\nthreads = 1", "1:7", &["`api` listens nowhere", "add listen"]),
    ("[pool.api]\nlisten = []", "2:10", &["`api` listens nowhere", "add listen"]),
    ("[pool.web]\nhandlers = '8..2'", "3:12", &["8..2", "the smaller first"]),
    (
        "[pool.web]\nsoft-deadline = '9s'\nhard-deadline = '3s'",
        "3:17",
        &["told after 9s", "ended after 3s", "before the hard one"],
    ),
    ("[pool.web]\nmax-surge = 0", "3:13", &["could never begin", "at least 1"]),
    ("[pool.api]\nlisten = [':1', ':1']", "2:17", &["taken already", "taken by pool `api`"]),
    (
        "[pool.web]\n[pool.api]\nlisten = ['127.0.0.1:8080']",
        "4:11",
        &["taken already", "taken by pool `web`", "wanted by pool `api`"],
    ),
    ("[pool.web]\n[pool.api]\nlisten = ['[::]:8080']", "4:11", &["taken already"]),
    ("[pool.web]\ncommand = ['true']\nuser = 'rooot'", "4:8", &["no user `rooot`", "`root`?"]),
    (
        "[pool.web]\ncommand = ['true']\nlimits = { nofiles = 3 }",
        "4:12",
        &["`nofiles`", "`nofile`?"],
    ),
    ("[pool.web]\ncommand = ['true']\nlimits = { core = '2:1' }", "4:19", &["above", "SOFT:HARD"]),
    ("[pool.web]\ncommand = []", "3:11", &["names a program"]),
    ("[pool.web]\ncommand = ['nosuch']", "3:11", &["cannot run `nosuch`", "is it installed?"]),
    ("[pool.web]\ncommand = ['true']\ndirectory = 'nosuch'", "4:13", &["`nosuch` is no folder"]),
    ("[pool.web]\ncommand = ['true']\nrecipe = 'nosuch'", "4:10", &["no recipe `nosuch`"]),
    ("[pool.web]\ncommand = ['true']\nrecipes = 'no.toml'", "4:11", &["cannot be read"]),
    (
        "[pool.web]\ncommand = ['true']\nthreads = 2",
        "4:11",
        &["no effect on a program", "handlers"],
    ),
    ("[pool.web]\ncommand = ['true']\nshed = true", "4:8", &["no effect on a program", "MIN..MAX"]),
    ("[pool.web]\nlog = 'prefix'", "3:7", &["no program", "add command"]),
    ("[pool.web]\ntls = 'shop.pem'", "3:7", &["string \"shop.pem\"", "a list"]),
    ("[pool.web]\ntls = [{ cert = 'a.pem' }]", "3:8", &["`key` is missing", "add key"]),
    ("[pool.web]\ntls = [{ cert = 'a', kee = 'b' }]", "3:22", &["`kee`", "did you mean `key`?"]),
    ("[pool.web]\ntls = [{ cert = 'no.pem', key = 'no.key' }]", "3:8", &["no.pem", "No such file"]),
    (
        "[pool.web]\ncommand = ['true']\ntls = [{ cert = 'a', key = 'b' }]",
        "4:7",
        &["no effect on a program", "it speaks TLS itself"],
    ),
    ("[pool.web]\nlisting = true", "3:11", &["no files", "name the directory"]),
    ("[pool.web]\nlisting = 'on'", "3:11", &["string \"on\"", "true or false"]),
    ("[pool.web]\nspa = '../x.html'", "3:7", &["`../x.html`", "index.html"]),
    ("[pool.web]\ncache = ['max-age=1h']", "3:10", &["number of seconds", "max-age=3600"]),
    ("[pool.web]\naccess-log-format = 'xml'", "3:21", &["`xml`", "combined"]),
    ("[pool.web]\naccess-log-format = 'json'", "3:21", &["no log", "add access-log"]),
    ("[pool.web]\ntrust = ['10.0.0.1/8']", "3:10", &["bits behind its length", "10.0.0.0/8"]),
    ("[pool.web]\ntrust = ['unix']", "3:9", &["nothing that these networks say", "proxy-headers"]),
    ("[pool.web]\nproxy-protocol = true", "3:18", &["nobody is trusted", "add trust"]),
    ("[pool.web]\nproxy-headers = 'x-real-ip'", "3:17", &["`x-real-ip`", "x-forwarded"]),
    ("[pool.web]\nserve = 'no/such/place'", "3:9", &["No such file", "give the path"]),
];

fn completed(text: &str) -> String {
    text.replacen("[pool.web]\n", "[pool.web]\nlisten = [\"127.0.0.1:8080\"]\n", 1)
}

fn folder_with(text: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bellwether.toml"), text).unwrap();
    folder
}

/// Runs the program in a folder, where it has no server to start.
fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder.path());
    command.env("BELLWETHER_RUNTIME_DIR", folder.path().join("run")).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_mistake_is_shown_where_it_is_with_what_to_try() {
    assert!(WRONG.len() >= 40);
    for (text, place, words) in WRONG {
        let output = run(&folder_with(completed(&format!("{text}\n"))), &["check"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(78), "{text}\n{said}");
        assert!(output.stdout.is_empty(), "{text}");
        let arrow = format!("--> bellwether.toml:{place}\n");
        assert!(said.contains(&arrow), "no {arrow}in\n{said}");
        assert!(said.contains('^') && said.contains("= help: "), "{said}");
        for word in *words {
            assert!(said.contains(word), "no {word:?} in\n{said}");
        }
        assert!(said.ends_with("bellwether.toml is wrong: 1 error\n"), "{text}\n{said}");
    }
}

const MANY: &str = "\
nam = 'x'
[pool.web]
listen = [':1', 'localhost']
threads = 0
handlers = true
soft-deadline = '2s'
hard-deadline = '1s'
[pool.api]
listen = [':1']
";

#[test]
fn all_mistakes_are_told_at_once_in_their_order() {
    let output = run(&folder_with(MANY), &["check"]);
    let said = said(&output);
    let places: Vec<_> = said.lines().filter_map(|line| line.split_once("--> ")).collect();
    let places: Vec<_> = places.iter().map(|(_, place)| *place).collect();
    let expected = ["1:1", "3:17", "4:11", "5:12", "6:17", "9:11"];
    assert_eq!(places, expected.map(|place| format!("bellwether.toml:{place}")), "{said}");
    assert!(said.ends_with("6 errors\n"), "{said}");
}

#[test]
fn a_syntax_error_does_not_hide_what_else_is_wrong_nor_invent_more() {
    let check = |text: &str, places: &[&str]| {
        let said = said(&run(&folder_with(text), &["check"]));
        let found: Vec<_> =
            said.lines().filter_map(|line| line.split_once("--> bellwether.toml:")).collect();
        let found: Vec<_> = found.iter().map(|(_, place)| *place).collect();
        assert_eq!(found, places, "{text}\n{said}");
    };
    check("[pool.web]\nthreads = = 2\nthread = 1\nname = x", &["2:11", "3:1", "4:8"]);
    check("nam = 'x'\n[pool.web\nlisten = [':1']\nthreads = 1", &["1:1", "2:10"]);
    check("nam = 'x'\n[pool.web]\nlisten = [':1'\nthreads = 1\n[pool.api]", &["1:1", "4:1"]);
}

#[test]
fn programs_get_json_with_stable_keys() {
    let output = run(&folder_with(MANY), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stderr.is_empty());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["file"], &report["fine"]), (&"bellwether.toml".into(), &false.into()));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 6);
    let last = &findings[5];
    assert_eq!((&last["line"], &last["column"]), (&9.into(), &11.into()));
    assert_eq!(last["hint"], "give each pool addresses of its own");
    assert_eq!((&last["places"][1]["line"], &last["places"][1]["column"]), (&3.into(), &11.into()));
    assert_eq!(last["places"][1]["label"], "taken by pool `web`");

    let fine = folder_with("[pool.web]\nlisten = [':1']\n");
    let output = run(&fine, &["check", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["fine"], &report["findings"]), (&true.into(), &Value::Array(vec![])));
}

#[test]
fn a_file_without_fault_is_praised_and_nothing_is_touched() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!("[pool.web]\nlisten = ['{address}', 'unix:web.sock']\n[pool.api]\n");
    let folder = folder_with(text + "listen = ['systemd:api']\n");
    let output = run(&folder, &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let words = "bellwether.toml is fine: 2 pools (api, web), listening at 3 places\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), words);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was made");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_66() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder.toml")).unwrap();
    let check = |arguments: &[&str], words: &[&str]| {
        let output = run(&folder, arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(66), "{said}");
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
    };
    for command in ["check", "start"] {
        check(&[command, "-c", "none.toml"], &["none.toml", "No such file", "-c FILE"]);
        check(&[command, "-c", "folder.toml"], &["folder.toml", "directory"]);
        check(&[command, "-c", "/dev/zero"], &["/dev/zero", "larger than"]);
        if !std::path::Path::new("/etc/bellwether/bellwether.toml").exists() {
            check(&[command], &["bellwether.toml", "generate config"]);
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_shown_too() {
    let output = run(&folder_with(b"[pool.web]\nname = \"\xff\"\n"), &["check"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("toml:2:9\n") && said.contains("UTF-8"), "{said}");
}

#[test]
fn a_file_of_another_kind_is_given_up_soon() {
    for line in ["a@ = 1\n", "a@ =\n", "@ words of a letter\n"] {
        let text: String = (0..5000).map(|number| line.replace('@', &number.to_string())).collect();
        let output = run(&folder_with(text), &["check"]);
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).ends_with("the first 100 errors are shown\n"), "{line}");
    }
}

#[test]
fn start_says_of_a_wrong_file_what_check_says() {
    for (text, ..) in &WRONG[..20] {
        let folder = folder_with(completed(&format!("{text}\n")));
        let (check, start) = (run(&folder, &["check"]), run(&folder, &["start"]));
        assert_eq!(said(&start), said(&check));
        assert_eq!(start.status.code(), Some(78));
    }
}
