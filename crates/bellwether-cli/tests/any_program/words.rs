//! What programs may say of themselves, and by what they are known to be ready.

use std::io::Write;
use std::net::TcpStream;
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
        let expected = format!("ready after {:.0} ms: {words}", ms.floor());
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
    let port = "it accepts connections at its own port";
    check("serve(bound(int(os.environ['PO' 'RT'])))", &["--pass", "port"], "port", port);
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

/// A server of HTTP whose `/up` is answered 503 until it has been asked three times, by each process
/// for itself; all that is asked is written down.
const WARMS_UP: &str = r"
asked = 0
def answer(connection, head=b''):
    global asked
    while not head.endswith(b'\r\n\r\n'):
        more = connection.recv(65536)
        if not more: return connection.close()
        head += more
    path = head.split(b' ')[1].decode()
    os.write(2, b'%d %s\n' % (os.getpid(), path.encode()))
    asked += path == '/up'
    status = '503 warming' if path == '/up' and asked < 3 else '200 OK'
    body = str(os.getpid()) + '\n'
    head = 'HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n'
    connection.sendall((head % (status, len(body)) + body).encode())
    connection.close()
def warm(listener):
    while True: answer(listener.accept()[0])
";

/// How often each process was asked for `/up`.
fn asked(server: &Run) -> std::collections::BTreeMap<String, usize> {
    let logs = server.stderr();
    let asked = logs.lines().filter_map(|line| line.strip_suffix(" /up"));
    asked.fold(Default::default(), |mut sum, pid| {
        *sum.entry(pid.to_owned()).or_default() += 1;
        sum
    })
}

#[test]
fn each_program_has_answered_itself_before_it_is_ready() {
    let check = |script: &str, flags: &[&str]| {
        let flags = [&["--handlers", "2", "--ready", "http:/up"], flags].concat();
        let Some((server, _)) = python(&format!("{WARMS_UP}{script}"), &flags) else { return };
        server.wait_ready(2);
        told(&server, "ready", "http");
        reload(&server);
        server.wait_ready(2);
        // Two before, two after: each was asked until it had said yes itself, the others' not counted.
        let asked = asked(&server);
        assert!(asked.len() == 4 && asked.values().all(|times| *times >= 3), "{asked:?}");
        stop(server);
    };
    check("warm(bound(PORT))", &[]);
    check("warm(bound(int(os.environ['PO' 'RT'])))", &["--pass", "port"]);
    check("warm(socket.socket(fileno=3))", &["--pass", "fd:3"]);
    let exclusive = "
import select
listener = socket.socket(fileno=3)
watch = select.epoll()
watch.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
listener.setblocking(False)
while watch.poll():
    try: connection = listener.accept()[0]
    except BlockingIOError: continue
    connection.setblocking(True)
    answer(connection)";
    check(exclusive, &["--pass", "fd:3"]);
    let loops = r"
import select
listener = socket.socket(fileno=3)
watch = select.epoll()
watch.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
listener.setblocking(False)
heads = {}
while True:
    for fd, _ in watch.poll():
        if fd == 3:
            try: connection = listener.accept()[0]
            except BlockingIOError: continue
            watch.register(connection, select.EPOLLIN)
            heads[connection.fileno()] = (connection, b'')
        else:
            connection, head = heads[fd]
            head += connection.recv(65536)
            heads[fd] = (connection, head)
            if head.endswith(b'\r\n\r\n'): answer(*heads.pop(fd))";
    check(loops, &["--pass", "fd:3"]);
}

#[track_caller]
fn reload(server: &Run) {
    let mut reload = Command::new(PROGRAM);
    let told = reload.arg("reload").env("BELLWETHER_RUNTIME_DIR", server.runtime()).output();
    assert!(told.unwrap().status.success(), "{}", server.logs());
}

#[test]
fn what_was_answered_last_is_why_one_never_became_ready() {
    let check = |script: &str, words: &[&str]| {
        let flags = ["--handlers", "1", "--ready", "http:/up"];
        let flags = [&flags[..], &["--boot-timeout", "1s", "--kill-after", "100ms"]].concat();
        let Some((server, _)) = python(&format!("{WARMS_UP}{script}"), &flags) else { return };
        for word in words {
            let said = || server.stderr().contains(word).then_some(());
            eventually(PATIENCE, &format!("the word {word:?}"), said);
        }
        stop(server);
    };
    check(
        "asked = -10**9\nwarm(bound(PORT))",
        &["not ready within 1 s", "GET /up was answered 503"],
    );
    check("bound(PORT)\ntime.sleep(99)", &["GET /up was not asked"]);
    check("l = bound(PORT)\nc = l.accept()\ntime.sleep(99)", &["GET /up has no answer yet"]);
    check("l = bound(PORT)\nwhile True:\n c = l.accept()[0]\n c.sendall(b'hi\\n')", &["no HTTP"]);
}

/// Serves, and says that it is alive until `/hang` was asked for.
const PINGS: &str = r"
import threading
def ping():
    assert os.environ['WATCHDOG_PID'] == str(os.getpid())
    while alive: say('WATCHDOG=1'); time.sleep(int(os.environ['WATCHDOG_USEC']) / 4e6)
alive = True
threading.Thread(target=ping, daemon=True).start()
listener = bound(PORT)
while True:
    connection, _ = listener.accept()
    alive = alive and b'/hang' not in connection.recv(65536)
    body = str(os.getpid())
    connection.sendall(('HTTP/1.0 200 OK\r\n\r\n%s' % body).encode())
    connection.close()
";

#[test]
fn one_that_is_silent_for_too_long_is_ended_and_replaced() {
    let flags = ["--handlers", "1", "--watchdog", "500ms"];
    let Some((server, address)) = python(&format!("{SAYS}{PINGS}"), &flags) else { return };
    server.wait_ready(1);
    let before = get(address).unwrap();
    let mut asked = TcpStream::connect(address).unwrap();
    asked.write_all(b"GET /hang HTTP/1.0\r\n\r\n").unwrap();
    let exit = told(&server, "exit", "signal");
    assert_eq!(
        exit["reason"], "killed by signal 6 (SIGABRT): it did not say WATCHDOG=1 for 0.5 s",
        "{exit}"
    );
    server.wait_ready(1);
    assert_ne!(get(address).unwrap(), before);
    assert_eq!(events(&server, "exit").len(), 1, "{}", server.logs());
    stop(server);
}

#[test]
fn one_that_hears_no_abort_is_killed() {
    let script = "import signal\nsignal.signal(signal.SIGABRT, signal.SIG_IGN)\nserve(bound(PORT))";
    let Some((server, address)) = python(script, &["--handlers", "1", "--watchdog", "300ms"])
    else {
        return;
    };
    server.wait_ready(1);
    get(address).unwrap();
    eventually(PATIENCE, "its end", || {
        let exits = events(&server, "exit");
        let reason = exits.first()?["reason"].as_str()?.to_owned();
        (reason.contains("SIGKILL") && reason.contains("WATCHDOG=1")).then_some(())
    });
    stop(server);
}

#[test]
fn one_that_stops_by_itself_finishes_what_it_has_and_is_no_crash() {
    let script = r"
listener = bound(PORT)
connection, _ = listener.accept()
say('STOPPING=1')
connection.recv(65536)
while os.path.exists('wait'): time.sleep(0.01)
connection.sendall(b'HTTP/1.0 200 OK\r\n\r\nbye')
connection.close()";
    let Some((server, address)) = python(&format!("{SAYS}{script}"), &["--handlers", "1"]) else {
        return;
    };
    let wait = server.path("wait");
    std::fs::write(&wait, "").unwrap();
    server.wait_ready(1);
    let first = server.handler_pids();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| get(address));
        // Another is there before it has ended.
        eventually(PATIENCE, "another beside it", || {
            let pids = server.handler_pids();
            (pids.len() == 2 && pids.contains(&first[0])).then_some(())
        });
        std::fs::remove_file(&wait).unwrap();
        assert_eq!(answer.join().unwrap().unwrap(), "bye");
    });
    let exit = told(&server, "exit", "exit");
    assert_eq!(exit["reason"], "it ended by itself: it said STOPPING=1", "{exit}");
    assert_eq!(server.pool()["totals"]["crashed"], 0, "{}", server.logs());
    stop(server);
}

#[test]
fn one_handler_is_one_worker_unless_its_owner_says_otherwise() {
    let check = |flags: &[&str], expected: &str| {
        let flags = [&["--handlers", "1"], flags].concat();
        let script = "print('workers', os.environ.get('WEB_CONCURRENCY'), file=sys.stderr)";
        let Some((server, _)) = python(&format!("{script}\nserve(bound(PORT))"), &flags) else {
            return;
        };
        server.wait_ready(1);
        assert!(server.stderr().contains(&format!("workers {expected}\n")), "{}", server.logs());
        stop(server);
    };
    check(&[], "1");
    check(&["-e", "WEB_CONCURRENCY=3"], "3");
}

#[test]
fn what_one_says_that_it_has_in_hand_counts_and_so_do_its_words() {
    let script = r"
say('STATUS=warm and ready\nX_BELLWETHER_BUSY=7')
os.close(os.open('said', os.O_CREAT | os.O_WRONLY))
while not os.path.exists('go'): time.sleep(0.01)
say('X_BELLWETHER_BUSY=0')
serve(listener)";
    let script = format!("{SAYS}listener = bound(PORT)\n{script}");
    let Some((server, address)) = python(&script, &["--handlers", "1"]) else { return };
    server.wait_ready(1);
    let handler = || server.pool()["handlers"][0].clone();
    let sees = |open: u64, state: &str| {
        eventually(PATIENCE, &format!("{open} in hand"), || {
            (handler()["open"] == open && handler()["state"] == state).then_some(())
        });
    };
    sees(7, "busy");
    assert_eq!(handler()["says"], "warm and ready");
    assert_eq!(handler()["corrupt"], false);
    std::fs::write(server.path("go"), "").unwrap();
    sees(0, "idle");
    get(address).unwrap();
    stop(server);
}

#[test]
fn one_that_says_that_it_is_busy_makes_another() {
    let script = r"
import threading
def rest():
    while not os.path.exists('rest'): time.sleep(0.01)
    say('X_BELLWETHER_BUSY=0')
if os.environ['BELLWETHER_SLOT'] == '0':
    say('X_BELLWETHER_BUSY=1')
    threading.Thread(target=rest, daemon=True).start()
serve(bound(PORT))";
    let balance = ["--balance", "fpm-dynamic:start=1,min=1,max=3"];
    let flags = [&["--handlers", "1..3", "--kind", "serial"], &balance[..]].concat();
    let Some((server, _)) = python(&format!("{SAYS}{script}"), &flags) else { return };
    server.wait_ready(2);
    assert_eq!(server.pool()["totals"]["in_flight"], 1, "{}", server.logs());
    std::fs::write(server.path("rest"), "").unwrap();
    eventually(PATIENCE, "nothing in hand", || {
        (server.pool()["totals"]["in_flight"] == 0).then_some(())
    });
    stop(server);
}

#[test]
fn one_that_asks_for_time_to_start_has_it() {
    let script = r"
for _ in range(30): say('EXTEND_TIMEOUT_USEC=500000'); time.sleep(0.05)
serve(bound(PORT))";
    let flags = ["--handlers", "1", "--boot-timeout", "1s"];
    let Some((server, address)) = python(&format!("{SAYS}{script}"), &flags) else { return };
    server.wait_ready(1);
    assert!(server.stderr().contains("asked for more time"), "{}", server.logs());
    get(address).unwrap();
    stop(server);
}
