//! A relay between clients and a program that does what the test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::sockopt::set_socket_linger;

use super::*;
use crate::address::{Defaults, Defer, Listener, open_all};
use crate::handler::Deadlines;
use crate::handler::post::{Order as Orders, Seat};
use crate::notification::Notification;
use crate::scoreboard::bell::{Bell, BellFiles};
use crate::scoreboard::control::ControlPage;
use crate::scoreboard::telemetry::{self, Telemetry};

/// However slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than all the buffers on the way hold.
const MUCH: usize = 24 << 20;

/// A relay between an address and a listener of the test's.
struct Scene {
    post: Arc<Post>,
    relay: Relay,
    program: TcpListener,
    _page: ControlPage,
}

impl Scene {
    fn new() -> Self {
        Self::at("127.0.0.1:0", None)
    }

    fn at(address: &str, most: Option<usize>) -> Self {
        let defaults = Defaults { defer_accept: Defer::Off, take_over: false };
        let listeners = open_all(&[address.parse().unwrap()], defaults, &mut Vec::new()).unwrap();
        let page = ControlPage::new().unwrap();
        let post = Arc::new(post(listeners, &page));
        let program = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::start(&post, program.local_addr().unwrap(), most).unwrap();
        Self { post, relay, program, _page: page }
    }

    /// A client, and its connection as the program has it.
    fn connection(&self) -> (TcpStream, TcpStream) {
        let client = self.client();
        (client, self.program.accept().unwrap().0)
    }

    fn client(&self) -> TcpStream {
        let client =
            TcpStream::connect(self.post.listeners[0].address().trim_start_matches("tcp://"));
        let client = client.unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    fn open(&self) -> u64 {
        self.post.bell.open()
    }

    fn wait_until_open(&self, count: u64) {
        eventually(&format!("{count} connections"), || self.open() == count);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.relay.finish();
    }
}

fn post(listeners: Vec<Listener>, page: &ControlPage) -> Post {
    let file = telemetry::file(1).unwrap();
    let (channel, _) = UnixStream::pair().unwrap();
    Post {
        spawner: rustix::process::getpid(),
        seat: Seat { slot: 0, generation: 1, thread: 0, threads: 1 },
        listeners,
        notification: Notification::default(),
        orphan_grace: Duration::ZERO,
        orphan_limit: Duration::ZERO,
        deadlines: Deadlines::default(),
        slo_wait: Duration::ZERO,
        telemetry: Telemetry::map(&file, 1, Duration::ZERO).unwrap(),
        control: page.view().unwrap(),
        bell: Bell::of(&BellFiles::new().unwrap()).unwrap(),
        channel: channel.into(),
        order: Mutex::new(Orders::Serve),
        not_ready: AtomicUsize::new(1),
        broken_up: AtomicBool::new(false),
    }
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        let pause = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        rustix::event::poll(&mut [], Some(&pause)).unwrap();
    }
}

fn rest_of(mut stream: impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

/// Bytes of which each is where it belongs.
fn much(seed: usize) -> Vec<u8> {
    (0..MUCH).map(|i| u8::try_from((i * 31 + i / 256 + seed) % 251).unwrap()).collect()
}

fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[test]
fn each_half_closes_by_itself() {
    let scene = Scene::new();
    let (mut client, mut program) = scene.connection();
    client.write_all(b"ask").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&program), b"ask");
    program.write_all(b"answer").unwrap();
    drop(program);
    assert_eq!(rest_of(&client), b"answer");
    scene.wait_until_open(0);

    let (mut client, mut program) = scene.connection();
    program.write_all(b"hello").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&client), b"hello");
    client.write_all(b"and more").unwrap();
    drop(client);
    assert_eq!(rest_of(&program), b"and more");
    scene.wait_until_open(0);
}

#[test]
fn much_is_carried_both_ways_at_once_and_arrives_as_it_was() {
    let scene = Scene::new();
    let (client, program) = scene.connection();
    let (asked, answered) = (much(1), much(2));
    let send = |mut stream: &TcpStream, what: &[u8]| {
        stream.write_all(what).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| send(&client, &asked));
        scope.spawn(|| send(&program, &answered));
        let heard = scope.spawn(|| rest_of(&client));
        assert!(rest_of(&program) == asked);
        assert!(heard.join().unwrap() == answered);
    });
    scene.wait_until_open(0);
}

#[test]
fn who_does_not_read_stops_who_writes_and_nobody_else() {
    let scene = Scene::new();
    let (client, program) = scene.connection();
    for (writer, reader) in [(&client, &program), (&program, &client)] {
        let sent = fill(writer);
        assert!(sent < MUCH, "{sent} bytes are on their way");
        let (mut other, mut others) = scene.connection();
        other.write_all(b"meanwhile").unwrap();
        let mut words = [0; 9];
        others.read_exact(&mut words).unwrap();
        assert_eq!(&words, b"meanwhile");
        let mut arrived = 0;
        let mut piece = vec![0; 1 << 16];
        while arrived < sent {
            let mut reader = reader;
            arrived += reader.read(&mut piece).unwrap();
        }
        assert_eq!(arrived, sent);
    }
}

/// Writes until nothing goes any more; returns how much went.
fn fill(mut stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let piece = vec![7; 1 << 16];
    let mut sent = 0;
    loop {
        match stream.write(&piece) {
            Ok(length) if sent < MUCH => sent += length,
            Ok(length) => return sent + length,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                let mut polled = [PollFd::new(stream, PollFlags::OUT)];
                let a_while = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
                if rustix::event::poll(&mut polled, Some(&a_while)).unwrap() == 0 {
                    stream.set_nonblocking(false).unwrap();
                    return sent;
                }
            }
        }
    }
}

#[test]
fn what_was_broken_off_does_not_look_whole() {
    let scene = Scene::new();
    let (mut client, mut program) = scene.connection();
    program.write_all(b"half of an ans").unwrap();
    client.read_exact(&mut [0; 14]).unwrap();
    reset(program);
    let refusal = client.read(&mut [0; 9]).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::ConnectionReset);
    scene.wait_until_open(0);

    let (client, mut program) = scene.connection();
    reset(client);
    assert_eq!(program.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    scene.wait_until_open(0);
}

#[test]
fn a_program_that_is_not_there_costs_nobody_time_and_may_come_back() {
    let mut scene = Scene::new();
    let place = scene.program.local_addr().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(std::mem::replace(&mut scene.program, elsewhere));
    for _ in 0..3 {
        let refusal = scene.client().read(&mut [0; 9]).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::ConnectionReset);
    }
    scene.wait_until_open(0);
    scene.program = TcpListener::bind(place).unwrap();
    let (mut client, mut program) = scene.connection();
    client.write_all(b"x").unwrap();
    program.read_exact(&mut [0]).unwrap();
}

#[test]
fn many_are_carried_at_once() {
    const MANY: usize = 300;
    let scene = Scene::new();
    std::thread::scope(|scope| {
        // Echoes when it has them all.
        scope.spawn(|| {
            let all: Vec<_> = (0..MANY).map(|_| scene.program.accept().unwrap().0).collect();
            for mut connection in all {
                let words = rest_of(&connection);
                connection.write_all(&words).unwrap();
            }
        });
        let clients: Vec<_> = (0..MANY).map(|_| scene.client()).collect();
        for (i, mut client) in clients.iter().enumerate() {
            client.write_all(format!("words of {i}").as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        }
        for (i, client) in clients.iter().enumerate() {
            assert_eq!(rest_of(client), format!("words of {i}").into_bytes());
        }
    });
    scene.wait_until_open(0);
    scene.relay.close();
    eventually("it to be empty", || scene.relay.is_empty());
}

#[test]
fn a_program_that_serves_one_at_a_time_is_given_one_and_the_next_stays_in_the_buffer() {
    let scene = Scene::at("127.0.0.1:0", Some(1));
    let (first, program) = scene.connection();
    let (mut second, mut third) = (scene.client(), scene.client());
    eventually("two in the buffer", || crate::buffer::Buffer::depth(&scene.post.listeners[0]) == 2);
    scene.wait_until_open(1);
    drop((first, program));
    for client in [&mut second, &mut third] {
        let mut program = scene.program.accept().unwrap().0;
        program.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        drop(program);
        client.shutdown(Shutdown::Both).unwrap();
    }
    scene.wait_until_open(0);
}

#[test]
fn a_closed_relay_accepts_no_more_and_knows_who_waits_for_an_answer() {
    let scene = Scene::new();
    let (mut client, mut program) = scene.connection();
    let (silent, _its_program) = scene.connection();
    client.write_all(b"ask").unwrap();
    program.read_exact(&mut [0; 3]).unwrap();
    assert!(!scene.relay.is_idle() && !scene.relay.is_empty(), "it is not closed");
    scene.relay.close();
    eventually("it to be closed", || scene.relay.has_closed());
    let _late = scene.client();
    eventually("the silent to count as idle", || {
        scene.relay.0.unanswered.load(Ordering::Acquire) == 1
    });
    assert!(!scene.relay.is_idle() && scene.post.requests_wait());
    program.write_all(b"answer").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    eventually("all to be answered", || scene.relay.is_idle());
    assert!(!scene.relay.is_empty());
    drop((client, program, silent, _its_program));
    eventually("it to be empty", || scene.relay.is_empty());
    assert!(scene.post.requests_wait(), "whoever came later is left to others");
}

#[test]
fn what_a_program_has_said_is_carried_on_after_its_end() {
    let scene = Scene::new();
    let (client, program) = scene.connection();
    let (kept, its_program) = scene.connection();
    let words = vec![b'w'; 1 << 20];
    std::thread::scope(|scope| {
        scope.spawn(|| (&program).write_all(&words).unwrap());
        eventually("something to come", || client.peek(&mut [0]).is_ok_and(|it| it == 1));
        // The client reads only when all is said.
        let mut first = vec![0; words.len() / 2];
        (&client).read_exact(&mut first).unwrap();
    });
    drop((program, its_program));
    scene.relay.finish();
    assert_eq!(rest_of(&client).len(), words.len() / 2);
    // It keeps its half open, and is gone all the same.
    assert_eq!(rest_of(&kept), b"");
    eventually("it to be empty", || scene.relay.is_empty());
}

#[test]
fn clients_of_a_unix_socket_are_carried_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    let scene = Scene::at(&format!("unix:{}", path.display()), None);
    let mut client = UnixStream::connect(&path).unwrap();
    let mut program = scene.program.accept().unwrap().0;
    let words = much(3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = &client;
            client.write_all(&words).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        assert!(rest_of(&program) == words);
    });
    program.write_all(b"answer").unwrap();
    drop(program);
    assert_eq!(rest_of(&mut client), b"answer");
    scene.wait_until_open(0);
}
