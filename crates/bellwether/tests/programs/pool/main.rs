//! A pool whose handlers do what the client says, the worst included; for tests.
//!
//! `pool ADDRESS [handlers=N] [bounds=MIN..MAX] [balance=RULE] [slo=SLO] [threads=N] [notification=MODE] [record=FILE] [boot=MS] [grace=MS]
//! [orphan=MS] [name=NAME] [take-over] [soft=MS] [hard=MS] [max_requests=N] [max_age=MS]
//! [max_memory=MIB] [crash_budget=N] [canary=MS] [surge=N] [unavailable=N] [old_generations=N]
//! [announce=MS] [shed=close|say|panic] [start=fail|hang|exit|panic|N:fail|threadN:fail|N:FILE]
//! [load=fail|hang|threads] [next=FILE]`. With N:FILE slot N opens a file at its start. A client sends
//! one line and reads the answer: a number is a request of the ledger, a word is one of [`obey`]'s.
//! What the library says goes to standard error.
//!
//! `next`: each generation reads from the file, when it is loaded, how it is to behave: one of
//! [`Obedient::be`]'s words, or, as without the file, well.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::{Amount, BoxError, Builder, Connection, Error, Handler, Seat, Server};

mod hostile;
#[path = "../../kit/record.rs"]
#[allow(dead_code, unreachable_pub)] // the program writes records, only tests read them
mod record;

mod processes {
    pub(crate) type Pid = i32;
}

#[derive(Clone, Debug, Default)]
struct Obedient {
    record: Option<PathBuf>,
    start: String,
    next: Option<PathBuf>,
    /// With which status it ends after its first connection, if it does.
    ephemeral: Option<i32>,
    /// How it sends a late connection away.
    shed: String,
}

impl Handler for Obedient {
    fn start(&mut self, seat: &Seat) -> Result<(), BoxError> {
        match self.start.as_str() {
            "fail" => Err("it was told to fail".into()),
            "hang" => hang(),
            "exit" => end(0),
            "lack" => end(75),
            "never" => end(78),
            "panic" => panic!("as told at its start"),
            one => match one.strip_suffix(":fail") {
                Some(slot) if slot == seat.slot().to_string() => Err("this slot fails".into()),
                // Opening a FIFO waits until somebody writes.
                None => match one.split_once(':') {
                    Some((slot, file)) if slot == seat.slot().to_string() => {
                        std::fs::File::open(file).map(drop).map_err(Into::into)
                    }
                    _ => Ok(()),
                },
                Some(one) if one == format!("thread{}", seat.thread()) => {
                    Err("this thread fails".into())
                }
                _ => Ok(()),
            },
        }
    }

    fn handle(&mut self, connection: Connection) {
        self.serve(connection);
        if let Some(status) = self.ephemeral {
            end(status);
        }
    }

    fn shed(&mut self, connection: Connection) {
        let mut connection = BufReader::new(connection);
        match self.shed.as_str() {
            "say" => {
                let _ = connection.read_line(&mut String::new());
                let _ = writeln!(connection.get_mut(), "too late");
            }
            "panic" => panic!("as told for the late"),
            _ => {}
        }
    }
}

impl Obedient {
    fn serve(&self, connection: Connection) {
        let mut connection = BufReader::new(connection);
        let mut line = String::new();
        if connection.read_line(&mut line).is_err() {
            return;
        }
        let answer = match line.trim_end().parse::<u64>() {
            Ok(id) => return self.enter(id, connection.get_mut()),
            Err(_) => obey(line.trim_end(), &mut connection),
        };
        let _ = writeln!(connection.get_mut(), "{answer}");
    }

    /// Behaves as the file says in which the next generation reads.
    fn told(mut self) -> Result<Self, BoxError> {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let word = self.next.as_deref().map_or_else(String::new, read);
        self.be(word.trim())?;
        Ok(self)
    }

    fn be(&mut self, word: &str) -> Result<(), BoxError> {
        match word {
            "fail-load" => return Err("this generation is told not to load".into()),
            "crash-in-init" => std::process::abort(),
            "hang-in-init" => hang(),
            "exit-at-once" => self.start = "exit".into(),
            "fail-start" => self.start = "fail".into(),
            "panic-at-start" => self.start = "panic".into(),
            "never-ready" => self.start = "hang".into(),
            "lack-something" => self.start = "lack".into(),
            "want-no-successor" => self.start = "never".into(),
            "exit-after-ready" => self.ephemeral = Some(0),
            "recycle-after-ready" => self.ephemeral = Some(79),
            "last-slot-fails" => self.start = "2:fail".into(),
            _ => {}
        }
        Ok(())
    }

    /// Serves a request of the ledger: recorded at its start and at its end.
    fn enter(&self, id: u64, connection: &mut Connection) {
        let record = self.record.as_ref().and_then(|path| record::RecordFile::open(path).ok());
        if let Some(record) = &record {
            let _ = record.start(id);
        }
        let _ = connection.write_all(format!("{id} {}\n", std::process::id()).as_bytes());
        if let Some(record) = &record {
            let _ = record.end(id);
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn obey(word: &str, connection: &mut BufReader<Connection>) -> String {
    if let Some(deadline) = connection.get_ref().deadline() {
        deadline.label(word);
    }
    match word {
        "pid" => std::process::id().to_string(),
        // Holds the connection until the client has read that, and closes.
        "hold" => {
            let _ = writeln!(connection.get_mut(), "held");
            let _ = connection.read_line(&mut String::new());
            "released".into()
        }
        // Waits for a line that does not come.
        "told" => match connection.read_line(&mut String::new()) {
            Err(error) => error.kind().to_string(),
            Ok(_) => "not told".into(),
        },
        // Takes its time when it is told, and then holds the connection.
        "extend" => {
            let told = connection.read_line(&mut String::new()).is_err();
            let left = connection.get_ref().deadline().map(|it| it.extend(HOUR));
            let _ = writeln!(connection.get_mut(), "told: {told}, over: {}", left.is_none());
            let _ = connection.read_line(&mut String::new());
            "released".into()
        }
        "over" => format!("{:?}", connection.get_ref().deadline().map(|it| it.is_over())),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "ignore-term" => hostile::ignore_term(connection.get_ref()),
        "panic" => panic!("as told"),
        "abort" => std::process::abort(),
        "segv" => hostile::signal_self(rustix::process::Signal::SEGV),
        "exit" => end(0),
        "fail" => end(1),
        "overflow" => overflow(1).to_string(),
        "daemon" => hostile::leave_an_orphan(),
        other => hostile::obey(other),
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

#[allow(clippy::exit)] // an application that exits on its own is what is tested
fn end(code: i32) -> ! {
    std::process::exit(code)
}

#[allow(unconditional_recursion)] // until the stack is used up, which is the point
fn overflow(depth: u64) -> u64 {
    std::hint::black_box([depth; 64]).iter().sum::<u64>() + overflow(depth + 1)
}

fn set(builder: Builder, handler: &mut Obedient, load: &mut String, word: &str) -> Builder {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    let number = || value.parse().unwrap_or(0);
    let ms = || Duration::from_millis(value.parse().unwrap_or(0));
    match key {
        "handlers" => builder.handlers(number()),
        "bounds" => {
            let (min, max) = value.split_once("..").unwrap_or((value, value));
            builder.bounds(min.parse().unwrap_or(0), max.parse().unwrap_or(0))
        }
        "balance" => builder.balance(value.parse().unwrap_or_default()),
        "slo" => builder.slo(value.parse().unwrap_or_default()),
        "threads" => builder.threads(number()),
        "notification" => builder.notification(value.parse().unwrap_or_default()),
        "boot" => builder.boot_timeout(ms()),
        "grace" => builder.stop_grace(ms()),
        "orphan" => builder.orphan_grace(ms()),
        "name" => builder.name(value),
        "take-over" => builder.take_over(),
        "soft" => builder.soft_deadline(ms()),
        "hard" => builder.hard_deadline(ms()),
        "max_requests" => builder.max_requests(value.parse().unwrap_or(0)),
        "max_age" => builder.max_age(ms()),
        "max_memory" => builder.max_memory(value.parse().unwrap_or(0) << 20),
        "crash_budget" => builder.crash_budget(value.parse().unwrap_or(0)),
        "canary" => builder.canary(ms()),
        "surge" => builder.max_surge(Amount::Count(number())),
        "unavailable" => builder.max_unavailable(Amount::Count(number())),
        "old_generations" => builder.old_generations(number()),
        "announce" => builder.announce(ms()),
        "shed" => {
            handler.shed = value.into();
            builder.shed(true)
        }
        _ => {
            match key {
                "record" => handler.record = Some(value.into()),
                "next" => handler.next = Some(value.into()),
                "start" => handler.start = value.into(),
                _ => *load = value.into(),
            }
            builder
        }
    }
}

fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            bellwether::upgrade::go_back(&error.to_string());
            std::process::ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let address = words.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let (mut handler, mut load) = (Obedient::default(), String::new());
    let builder = Server::builder().listen(address);
    let builder = words.fold(builder, |builder, word| set(builder, &mut handler, &mut load, &word));
    builder.open()?.run_loaded(move || match load.as_str() {
        "fail" => Err("it was told not to load".into()),
        "hang" => hang(),
        "threads" => {
            let _ = std::thread::Builder::new().name("stray".into()).spawn(std::thread::park);
            Ok(handler.clone())
        }
        _ => handler.clone().told(),
    })?;
    Ok(())
}
