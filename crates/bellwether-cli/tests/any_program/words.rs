//! What programs may say of themselves, and by what they are known to be ready.

use std::process::Command;

use serde_json::Value;

use crate::kit::{PATIENCE, Run, eventually};
use crate::life::{python, refusal, stop};
use crate::trial::{PROGRAM, get};

/// The entries of a kind, as `bellwether events --json` has them.
fn events(server: &Run, kind: &str) -> Vec<Value> {
    let mut events = Command::new(PROGRAM);
    let told = events.args(["events", "--json"]).env("BELLWETHER_RUNTIME_DIR", server.runtime());
    let told = String::from_utf8(told.output().unwrap().stdout).unwrap();
    let entries = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["kind"] == kind).collect()
}

/// The first of these entries of which this is the rule.
#[track_caller]
fn told(server: &Run, kind: &str, rule: &str) -> Value {
    eventually(PATIENCE, &format!("{kind} by {rule}"), || {
        events(server, kind).into_iter().find(|it| it["rule"] == rule)
    })
}

#[test]
fn the_journal_tells_by_what_a_program_is_known_to_be_ready() {
    let check = |script: &str, flags: &[&str], rule: &str, words: &str| {
        let flags = [&["--handlers", "1"], flags].concat();
        let Some((server, address)) = python(script, &flags) else { return };
        server.wait_ready(1);
        get(address).unwrap();
        let entry = told(&server, "ready", rule);
        let ms = entry["inputs"]["took_ms"].as_f64().unwrap();
        let expected = format!("ready after {} ms: {words}", ms as u64);
        assert_eq!(entry["reason"], Value::from(expected), "{entry}");
        stop(server);
    };
    let given = "listener = socket.socket(fileno=3)\n";
    let passed = &["--pass", "fd:3"];
    check("serve(bound(PORT))", &[], "listen", "it called listen");
    check(&format!("{given}serve(listener)"), passed, "accept", "it waits in accept");
    let poll = "import select\nselect.select([listener], [], [])\nserve(listener)";
    check(&format!("{given}{poll}"), passed, "poll", "it waits in poll");
    let epoll =
        "import select\ne = select.epoll()\ne.register(listener)\ntime.sleep(1)\nserve(listener)";
    check(&format!("{given}{epoll}"), passed, "epoll", "an epoll waits at the address");
    let after = &["--pass", "fd:3", "--ready", "after:50ms"];
    check(&format!("{given}serve(listener)"), after, "time", "its time to start is over");
}

/// Says words where the program is to say them.
const SAYS: &str = "
def say(words):
    name = os.environ['NOTIFY_SOCKET']
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(words.encode(), '\\0' + name[1:])
";

#[test]
fn one_that_has_left_its_group_and_its_parent_is_heard() {
    let script = "
listener = socket.socket(fileno=3)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while os.getppid() in (1, int(os.environ['OUTER'])): time.sleep(0.01)
        time.sleep(0.1)
        say('READY=1')
    os._exit(0)
serve(listener)";
    let script = format!("{SAYS}os.environ['OUTER'] = str(os.getpid()){script}");
    let flags = ["--handlers", "1", "--pass", "fd:3", "--ready", "notify"];
    let Some((server, address)) = python(&script, &flags) else { return };
    server.wait_ready(1);
    assert_eq!(told(&server, "ready", "notify")["pid"], server.handler_pids()[0]);
    get(address).unwrap();
    stop(server);
}

#[test]
fn one_may_end_a_line_at_a_descriptor() {
    let script = "
listener = socket.socket(fileno=3)
os.write(4, b'nearly')
time.sleep(0.1)
os.write(4, b' there\\nand more')
serve(listener)";
    let flags = ["--handlers", "2", "--pass", "fd:3", "--ready", "fd:4"];
    let Some((server, address)) = python(script, &flags) else { return };
    server.wait_ready(2);
    told(&server, "ready", "fd");
    get(address).unwrap();
    stop(server);
    let adopted = "os.write(3, b'\\n')\nos.close(3)\nserve(bound(PORT))";
    let Some((server, address)) = python(adopted, &["--handlers", "1", "--ready", "fd:3"]) else {
        return;
    };
    server.wait_ready(1);
    get(address).unwrap();
    stop(server);
}

#[test]
fn a_descriptor_that_is_closed_says_nothing_and_one_of_an_address_is_refused() {
    let check = |script: &str, ready: &str, words: &[&str]| {
        let times = ["--boot-timeout", "500ms", "--kill-after", "100ms"];
        let flags = [&["--handlers", "1", "--pass", "fd:3", "--ready", ready], &times[..]].concat();
        let Some((server, _)) = python(script, &flags) else { return };
        let said = refusal(server);
        words.iter().for_each(|word| assert!(said.contains(word), "no {word:?} in: {said}"));
    };
    let serves = "serve(socket.socket(fileno=3))";
    check(&format!("os.close(9)\n{serves}"), "fd:9", &["not ready within 0.5 s", "closed"]);
    check(serves, "fd:9", &["not ready within 0.5 s", "ended no line at descriptor 9"]);
    check(serves, "fd:3", &["descriptor 3", "of an address", "such as 4"]);
    check(serves, "fd:100000000", &["ulimit -n"]);
}
