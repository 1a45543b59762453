//! The dashboard in a real browser: numbers move, nothing leaves the machine, everybody can use it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use serde_json::Value;

use super::Observer;
use crate::clients::raw;
use crate::kit::{Launch, PATIENCE, Run, eventually};
use crate::stage::{PROGRAM, has, serve, text};

const SCRIPT: &str = include_str!("browser.mjs");

/// What drives the browser and what judges the page, from npm; kept between runs.
fn tools() -> Option<PathBuf> {
    if !has("node") || !has("npm") || !has("chromium") {
        return None;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&folder).unwrap();
    // Tests run beside each other, and npm does not bear that in one folder.
    let alone = fs::File::create(folder.join("lock")).unwrap();
    rustix::fs::flock(&alone, rustix::fs::FlockOperation::LockExclusive).unwrap();
    if !folder.join("node_modules/axe-core/axe.min.js").is_file() {
        let npm = Command::new("timeout")
            .args(["120", "npm", "install", "--silent", "--no-audit"])
            .args(["--prefix", text(&folder), "playwright-core@1", "axe-core@4"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if !npm.status.success() {
            println!(
                "SKIPPED: a browser: npm cannot install playwright-core and axe-core: {npm:?}"
            );
            return None;
        }
    }
    fs::write(folder.join("browser.mjs"), SCRIPT).unwrap();
    Some(folder)
}

/// Lets a browser look at the dashboard; what it saw.
#[track_caller]
fn look(tools: &PathBuf, observer: &Observer, name: &str) -> Value {
    let pictures = tools.join(name);
    fs::create_dir_all(&pictures).unwrap();
    let seen = Command::new("timeout")
        .args(["120", "node", "browser.mjs", &observer.url("/"), text(&pictures)])
        .current_dir(tools)
        .output()
        .unwrap();
    assert!(seen.status.success(), "{seen:?}");
    serde_json::from_slice(&seen.stdout).unwrap()
}

fn load_beside<T>(server: &Run, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                raw(server, "GET /", "");
            }
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

#[test]
fn a_browser_sees_the_numbers_move_and_asks_nobody_else() {
    let Some(tools) = tools() else { return };
    let mut server = serve(&["--name", "shop"]);
    let observer = Observer::of(&server, &[]);
    let seen = load_beside(&server, || look(&tools, &observer, "shop"));
    assert_eq!(seen["errors"], Value::Array(vec![]), "{seen}");
    let (first, second) = (seen["rates"][0].as_f64(), seen["rates"][1].as_f64());
    assert!(first > Some(0.0) && second > Some(0.0), "{seen}");
    assert!(seen["line"].as_str().unwrap().starts_with('M'), "nothing is drawn: {seen}");
    assert!(seen["race"].as_str().unwrap().contains("won a connection"), "{seen}");
    assert_eq!(seen["cells"], 2, "{seen}");
    assert!(seen["log"].as_u64() > Some(2), "{seen}");
    let home = observer.url("/");
    for url in seen["requests"].as_array().unwrap() {
        let url = url.as_str().unwrap();
        assert!(url.starts_with(&home) || url.starts_with("data:"), "{url} was asked for");
    }
    assert_eq!(seen["axe"], Value::Array(vec![]), "{seen}");
    assert_eq!(seen["overflow"], false, "wider than a phone: {seen}");
    assert_eq!(seen["focused"], "To the pools", "the keyboard: {seen}");
    for picture in ["light.png", "dark.png", "phone.png"] {
        let bytes = fs::metadata(tools.join("shop").join(picture)).unwrap().len();
        assert!(bytes > 10_000, "{picture} has {bytes} bytes");
    }
    assert_eq!(server.stop().code(), Some(0));
}

/// Says of itself what would be a script, a colour, or too much, if anybody believed it.
const HOSTILE: &str = r#"
import http.server, os, socket
say = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
where = os.environ["NOTIFY_SOCKET"]
say.connect("\0" + where[1:] if where[0] == "@" else where)
say.send(b"READY=1\nSTATUS=<script>window.hacked=1</script><img src=x onerror=window.hacked=1>")
say.send(b"STATUS=\x1b]0;x\x07\xff\xfe" + b"x" * 10240 + b"<b>")
say.send(b"STATUS=<img src=x onerror=window.hacked=1>\x1b[31m\xff")
http.server.HTTPServer(("127.0.0.1", int(os.environ.get("PORT", 8000))), http.server.BaseHTTPRequestHandler).serve_forever()
"#;

#[test]
fn what_a_program_says_of_itself_is_text_everywhere() {
    let Some(tools) = tools().filter(|_| has("python3")) else { return };
    let launch = Launch::of(PROGRAM).args(["run", "--listen", "127.0.0.1:0", "--handlers", "1"]);
    let script = launch.path("hostile.py");
    fs::write(&script, HOSTILE).unwrap();
    let launch = launch.args(["--pass", "port", "--name", "evil", "--", "python3", text(&script)]);
    let mut server = launch.start();
    server.wait_ready(1);
    eventually(PATIENCE, "what the program says", || {
        let says = server.pool()["handlers"][0]["says"].as_str()?.contains("onerror");
        says.then_some(())
    });
    let observer = Observer::of(&server, &[]);
    let seen = look(&tools, &observer, "evil");
    assert_eq!((&seen["hacked"], &seen["errors"]), (&Value::Null, &Value::Array(vec![])), "{seen}");
    assert!(seen["says"].as_str().unwrap().contains("<img src=x onerror="), "{seen}");
    let metrics = observer.get("/metrics");
    assert!(!String::from_utf8_lossy(&metrics.body).contains("img"), "a label of a handler's");
    let status = observer.get("/status.json");
    let status: Value = serde_json::from_slice(&status.body).unwrap();
    let says = status["pools"][0]["handlers"][0]["says"].as_str().unwrap();
    assert!(says.chars().count() <= 63 && !says.chars().any(char::is_control), "{says:?}");
    server.stop();
}
