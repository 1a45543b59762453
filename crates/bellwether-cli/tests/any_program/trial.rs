//! One program through its paces.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::front::Front;
use crate::kit::{Launch, Run, assert_quiescent};
use crate::programs::Program;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bellwether");

/// How many clients ask at once.
const CLIENTS: usize = 4;
const REQUESTS: usize = 1000;
const RELOADS: usize = 2;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Trial {
    /// How it was given its address, as the log says.
    pub(crate) pass: String,
    pub(crate) requests: usize,
    /// How many answers each process gave, the most first.
    pub(crate) shares: Vec<usize>,
    /// How many were answered while the handlers were replaced.
    pub(crate) reloaded: usize,
}

/// Answers by their bodies, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    bodies: BTreeMap<String, usize>,
    pub(crate) failures: Vec<String>,
}

impl Answers {
    fn count(&self) -> usize {
        self.bodies.values().sum()
    }

    fn enter(&mut self, answer: Result<String, String>) {
        match answer {
            Ok(body) => *self.bodies.entry(body).or_default() += 1,
            Err(failure) => self.failures.push(failure),
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.failures.extend(other.failures);
        for (body, count) in other.bodies {
            *self.bodies.entry(body).or_default() += count;
        }
        self
    }
}

/// A port that is free now, from below those that the kernel gives to whoever asks for any.
pub(crate) fn free_port() -> u16 {
    // Tests of one process ask at the same time.
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() * 7 + ASKED.fetch_add(1, Ordering::Relaxed) * 101;
    let ports = (0..10_000).map(|i| 10_000 + u16::try_from((first + i) % 20_000).unwrap());
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(is_free).unwrap()
}

/// Starts a command as a pool on a port.
pub(crate) fn run(launch: Launch, port: u16, flags: &[&str], command: &[String]) -> Run {
    let folder = launch.path("");
    let launch = launch.args(["run", "--listen", &format!("127.0.0.1:{port}")]);
    let launch = launch.args(["--canary", "50ms", "-C"]).arg(folder).args(flags);
    launch.arg("--").args(command).start()
}

/// Replaces all handlers by new ones, which must work.
#[track_caller]
pub(crate) fn reload(server: &Run) {
    let mut reload = Command::new(PROGRAM);
    let told = reload.arg("reload").env("BELLWETHER_RUNTIME_DIR", server.runtime()).output();
    let told = told.unwrap();
    assert!(told.status.success(), "{told:?}\n{}", server.logs());
}

/// Tries a program: all is answered, by all of its processes, and none is lost by a reload.
#[track_caller]
pub(crate) fn of(program: &Program) -> Option<Trial> {
    let (launch, port) = (Launch::of(PROGRAM), free_port());
    let Some(command) = program.command(&launch.path(""), port) else {
        println!("SKIPPED: {}: it cannot be installed", program.name);
        return None;
    };
    let flags = ["--handlers", "2", "--pass", program.pass.unwrap_or("auto")];
    let mut server = run(launch, port, &flags, &command);
    server.wait_ready(2);
    let front = program.behind_nginx.then(|| Front::of(port, &server.path("")));
    let pool = SocketAddr::from(([127, 0, 0, 1], port));
    let address = front.as_ref().map_or(pool, |it| it.address);

    let answers = ask(address, |so_far| so_far < REQUESTS / CLIENTS);
    let failed = |answers: &Answers| answers.failures.iter().take(5).cloned().collect::<Vec<_>>();
    assert_eq!(failed(&answers), [""; 0], "{}\n{}", program.name, server.logs());
    let mut shares: Vec<usize> = answers.bodies.values().copied().collect();
    shares.sort_unstable_by(|one, other| other.cmp(one));
    assert!(shares.len() >= 2 || !program.tells, "one for all: {answers:?}");

    let reloaded = reload_under_load(&server, address);
    assert_eq!(failed(&reloaded), [""; 0], "{}\n{}", program.name, server.logs());

    drop(front);
    let pass = server.logs().lines().find_map(|line| Some(line.split_once("recipe `")?.1.into()));
    assert_eq!(server.stop().code(), Some(0), "{}", server.logs());
    assert_quiescent(server.baseline(), &server);
    let (requests, reloaded) = (answers.count(), reloaded.count());
    Some(Trial { pass: pass.unwrap_or_default(), requests, shares, reloaded })
}

fn reload_under_load(server: &Run, address: SocketAddr) -> Answers {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| ask(address, |_| !over.load(Ordering::Relaxed)));
        for _ in 0..RELOADS {
            reload(server);
        }
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    })
}

/// Lets several clients ask one after the other as long as they shall.
pub(crate) fn ask(address: SocketAddr, goes_on: impl Fn(usize) -> bool + Sync) -> Answers {
    std::thread::scope(|scope| {
        let client = || {
            let mut answers = Answers::default();
            let mut so_far = 0;
            while goes_on(so_far) {
                answers.enter(get(address));
                so_far += 1;
            }
            answers
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let answers = clients.into_iter().map(|client| client.join().unwrap());
        answers.fold(Answers::default(), Answers::merge)
    })
}

/// Asks once, on a connection of its own.
pub(crate) fn get(address: SocketAddr) -> Result<String, String> {
    let mut answer = String::new();
    let got = TcpStream::connect(address).and_then(|mut connection| {
        connection.set_read_timeout(Some(Duration::from_secs(20)))?;
        connection.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
        connection.read_to_string(&mut answer)
    });
    got.map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no whole answer")?;
    let is_fine = head.split(' ').nth(1) == Some("200") && !body.is_empty();
    if is_fine { Ok(body.trim().into()) } else { Err(format!("not as it should be: {answer:?}")) }
}
