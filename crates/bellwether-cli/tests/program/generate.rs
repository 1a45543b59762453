//! What the program makes of what it knows about itself.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::https::{certify_as, set_mode};
use crate::stage::{PROGRAM, has, text};

/// Runs `bellwether generate` in a folder of its own.
fn generate(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("generate").args(arguments).current_dir(folder.path()).output().unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs a tool that should find nothing wrong.
#[track_caller]
fn content(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The sample with the settings of every line that is commented out.
fn full_sample(folder: &TempDir) -> String {
    fs::create_dir(folder.path().join("public")).unwrap();
    let sample = generate(folder, &["config"]);
    let is_setting = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.starts_with('#') && !key[3..].contains(' '))
    };
    let uncommented = |line: &str| match line {
        _ if is_setting(line) || line.starts_with("## [") => {
            line.trim_start_matches('#').trim_start().to_owned()
        }
        _ => line.to_owned(),
    };
    sample.lines().map(|line| uncommented(line) + "\n").collect()
}

#[test]
fn the_sample_passes_check_with_and_without_its_comments() {
    let folder = folder();
    let full = full_sample(&folder);
    ["shop", "blog"].iter().for_each(|name| certify_as(folder.path(), name));
    // What the sample runs is there.
    fs::create_dir(folder.path().join("shop")).unwrap();
    fs::write(folder.path().join("recipes.toml"), "").unwrap();
    std::os::unix::fs::symlink("/bin/true", folder.path().join("gunicorn")).unwrap();
    assert!(full.contains("\nmax-memory = \"512MiB\"\n"), "{full}");
    for sample in [generate(&folder, &["config"]), full] {
        fs::write(folder.path().join("bellwether.toml"), sample).unwrap();
        let mut check = Command::new(PROGRAM);
        check.arg("check").current_dir(folder.path()).env("PATH", folder.path());
        let output = check.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_schema_knows_every_setting() {
    let schema: Value = serde_json::from_str(&generate(&folder(), &["schema"])).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["pool"]));
    let pool = &schema["$defs"]["PoolSettings"];
    assert_eq!(pool["required"], serde_json::json!(["listen"]));
    assert_eq!(pool["additionalProperties"], false);
    for key in ["serve", "listen", "handlers", "stop-grace", "max-memory", "crash-budget"] {
        assert!(pool["properties"][key]["description"].is_string(), "{key}");
    }
}

const VALIDATE: &str = r#"
import json, sys
try:
    import tomllib, jsonschema
except ImportError as missing:
    sys.exit(print(f"SKIPPED: the schema is not tried: {missing}"))
schema = json.load(open("schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
fine = tomllib.load(open("bellwether.toml", "rb"))
for error in validator.iter_errors(fine):
    sys.exit(f"the sample: {error.message}")
for wrong in ["", "[pool.web]", "[pool.web]\nlisten=[':1']\nthread=1",
              "[pool.web]\nlisten=[':1']\nhandlers='many'",
              "[pool.web]\nlisten=[':1']\nstop-grace='soon'",
              "allow.read=['root']\n[pool.web]\nlisten=[':1']"]:
    if validator.is_valid(tomllib.loads(wrong)):
        sys.exit(f"this is valid: {wrong}")
"#;

#[test]
fn the_schema_takes_the_sample_and_refuses_what_check_refuses() {
    if !has("python3") {
        return;
    }
    let folder = folder();
    fs::write(folder.path().join("bellwether.toml"), full_sample(&folder)).unwrap();
    fs::write(folder.path().join("schema.json"), generate(&folder, &["schema"])).unwrap();
    let mut python = Command::new("python3");
    let output = python.args(["-c", VALIDATE]).current_dir(folder.path()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let folder = folder();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = generate(&folder, &["completions", shell]);
        for word in ["generate", "stop-grace", "take-over"] {
            assert!(script.contains(word), "no {word} for {shell}");
        }
        let file = folder.path().join(shell);
        fs::write(&file, script).unwrap();
        if ["bash", "zsh", "fish"].contains(&shell) && has(shell) {
            content(shell, &["-n", text(&file)]);
        }
    }
}

#[test]
fn man_pages_are_there_for_every_command_and_can_be_read() {
    let folder = folder();
    let pages = folder.path().join("man/man1");
    assert_eq!(generate(&folder, &["man", "-o", text(&pages)]), "");
    for name in ["bellwether", "bellwether-dev", "bellwether-serve", "bellwether-generate-systemd"]
    {
        let page = pages.join(format!("{name}.1"));
        assert!(page.exists(), "no {name}.1");
        if has("man") {
            let read = content("man", &["--warnings", "-l", text(&page)]);
            assert!(read.contains("NAME") && read.contains("SYNOPSIS"), "{read}");
        }
    }
    let alone = generate(&folder, &["man"]);
    assert_eq!(alone, fs::read_to_string(pages.join("bellwether.1")).unwrap());
}

/// Two pools, one of them at a port that needs a privilege.
const SHOP: &str = "
    name = 'shop'
    log-file = '/var/log/own/server.log'
    [pool.web]
    listen = ['127.0.0.1:80?backlog=512', 'unix:/run/shop/web.sock?mode=660']
    announce = '5s'
    stop-grace = '60s'
    [pool.api]
    listen = [':8081']
    access-log = '/var/log/shop/access.log'
    boot-timeout = '2m'";

fn shop() -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("bellwether.toml"), SHOP).unwrap();
    folder
}

#[track_caller]
fn assert_lines(unit: &str, lines: &[&str]) {
    for line in lines {
        assert!(unit.lines().any(|it| it == *line), "no {line:?} in:\n{unit}");
    }
}

#[test]
fn a_service_has_the_times_and_rights_that_its_file_needs() {
    let folder = shop();
    let unit = generate(&folder, &["systemd"]);
    let file = folder.path().join("bellwether.toml");
    assert_lines(
        &unit,
        &[
            "Type=notify",
            "NotifyAccess=main",
            "KillMode=process",
            "Restart=on-failure",
            "SuccessExitStatus=3",
            "WatchdogSec=30s",
            &format!("ExecStart={PROGRAM} start -c {}", text(&file)),
            &format!("ExecReload={PROGRAM} reload --name shop"),
            "TimeoutStartSec=131s",
            "TimeoutStopSec=80s",
            "ReadWritePaths=/run/shop",
            "ReadWritePaths=/var/log/own",
            "ReadWritePaths=/var/log/shop",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        ],
    );
    assert!(!unit.contains("PrivateUsers=yes"), "the capability would be worth nothing");
    assert!(unit.lines().all(|line| line.starts_with('#') || !line.contains("@name")), "{unit}");
}

#[test]
fn a_service_has_the_group_that_may_read_the_key() {
    let folder = folder();
    certify_as(folder.path(), "shop");
    let key = folder.path().join("shop.key");
    if chown(&key, None, Some(4242)).is_err() {
        return println!("SKIPPED: only root gives a file to any group");
    }
    let pool = "[pool.web]\nlisten = [':1']\ntls = [{ cert = 'shop.pem', key = 'shop.key' }]\n";
    fs::write(folder.path().join("bellwether.toml"), pool).unwrap();
    let check = |mode: u32, expected: bool| {
        set_mode(&key, mode);
        let unit = generate(&folder, &["systemd"]);
        assert_eq!(unit.contains("\nSupplementaryGroups=4242\n"), expected, "{mode:o}");
    };
    check(0o640, true);
    check(0o600, false);
}

#[test]
fn a_service_of_a_file_that_is_yet_to_be_written_has_the_defaults() {
    if Path::new("/etc/bellwether/bellwether.toml").exists() {
        return;
    }
    let folder = folder();
    let output = run(&folder, &["systemd"]);
    let (unit, said) = (String::from_utf8_lossy(&output.stdout), output.stderr);
    assert!(output.status.success());
    for words in [&unit, &String::from_utf8_lossy(&said)] {
        assert!(words.contains("there is no configuration file here"), "{words}");
    }
    let start = format!("ExecStart={PROGRAM} start -c /etc/bellwether/bellwether.toml");
    let lines = [&start, "TimeoutStopSec=45s", "PrivateUsers=yes", "CapabilityBoundingSet="];
    assert_lines(&unit, &lines);
    let output = run(&folder, &["systemd", "--socket"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(66), "{said}");
    assert!(output.stdout.is_empty() && said.contains("name a file with -c FILE"), "{said}");
}

#[test]
fn sockets_are_one_unit_a_pool_with_its_name() {
    let folder = shop();
    let units = folder.path().join("units");
    assert_eq!(generate(&folder, &["systemd", "--socket", "-o", text(&units)]), "");
    let read = |name: &str| fs::read_to_string(units.join(name)).unwrap();
    assert_lines(
        &read("shop-web.socket"),
        &[
            "ListenStream=127.0.0.1:80",
            "ListenStream=/run/shop/web.sock",
            "FileDescriptorName=web",
            "Service=shop.service",
            "Backlog=512",
            "SocketMode=0660",
        ],
    );
    assert_lines(&read("shop-api.socket"), &["ListenStream=8081", "FileDescriptorName=api"]);
    let service = read("shop.service");
    let lines = ["Requires=shop-web.socket", "Requires=shop-api.socket", "PrivateUsers=yes"];
    assert_lines(&service, &lines);
}

#[test]
fn a_socket_file_is_named_from_the_root_whatever_the_file_says() {
    let folder = folder();
    fs::create_dir(folder.path().join("etc")).unwrap();
    let near = "[pool.web]\nlisten = ['unix:web.sock']\n";
    for (file, path) in [("bellwether.toml", "web.sock"), ("etc/shop.toml", "etc/web.sock")] {
        fs::write(folder.path().join(file), near).unwrap();
        let units = generate(&folder, &["systemd", "--socket", "-c", file]);
        let listen = format!("ListenStream={}", text(&folder.path().join(path)));
        assert_lines(&units, &[&listen]);
    }
    let found = generate(&folder, &["systemd"]);
    assert_lines(&found, &[&format!("ReadWritePaths={}", text(folder.path()))]);
}

#[test]
fn systemd_finds_the_units_right_and_the_service_closed() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = shop();
    let units = folder.path().join("units");
    generate(&folder, &["systemd", "--socket", "-o", text(&units)]);
    let paths = ["shop.service", "shop-web.socket", "shop-api.socket"].map(|it| units.join(it));
    let arguments = ["verify", "--man=no", "--recursive-errors=no"];
    let all: Vec<_> = arguments.into_iter().chain(paths.iter().map(|it| text(it))).collect();
    let output = Command::new("systemd-analyze").args(all).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let about_us: Vec<_> = said.lines().filter(|line| line.contains("shop")).collect();
    assert!(about_us.is_empty(), "{about_us:#?}");

    let unit = text(&paths[0]);
    let judge = ["security", "--offline=true", "--threshold=15", "--no-pager", unit];
    let output = Command::new("systemd-analyze").args(judge).output().unwrap();
    let verdict = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unrecognized option") {
        println!("SKIPPED: systemd-analyze: too old to judge a file");
        return;
    }
    assert!(output.status.success(), "{said}{}", verdict.lines().last().unwrap_or_default());
}

#[test]
fn a_name_that_systemd_cannot_open_is_refused() {
    let folder = folder();
    let text = "[pool.web]\nlisten = ['shop.example:80']\n";
    fs::write(folder.path().join("bellwether.toml"), text).unwrap();
    let output = run(&folder, &["systemd", "--socket"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("shop.example:80") && said.contains("numbers only"), "{said}");
}
