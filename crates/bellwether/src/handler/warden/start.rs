//! Starting a program: its process, and its words if it does not become one.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};

use super::asking::Asking;
use super::calls::Calls;
use super::lines::Pipes;
use super::newline::{Newline, Theirs};
use super::notices::Notices;
use super::parting::Search;
use super::watchdog::Watchdog;
use super::{Stage, Warden};
use crate::address::Listener;
use crate::handler::Departure;
use crate::handler::post::Post;
use crate::program::adopt::{Adopter, passing};
use crate::program::launch::{self, Place};
use crate::program::private_port::PrivatePort;
use crate::program::{Output, Pass, Program, Ready};
use crate::sys::clock;
use crate::sys::process::{self, Fork};
use crate::sys::signal::{self, Signals};

impl<'a> Warden<'a> {
    /// Starts the program; an error says why it does not run.
    pub(super) fn start(
        program: &'a Program,
        pool: &str,
        post: &'a Arc<Post>,
    ) -> Result<Self, String> {
        let refused = |error: io::Error| format!("a program cannot be started: {error}");
        rustix::process::setpgid(None, None).map_err(|errno| refused(errno.into()))?;
        // Whatever the program leaves behind comes to us, so that we know when all of it has ended.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|errno| refused(errno.into()))?;
        // Without it a program cannot say that it is ready, which can still be seen.
        let notices = Notices::open().ok();
        let signals = Signals::open().map_err(refused)?;
        let port = private_port(program).map_err(refused)?;
        let pipes = pipes(program).map_err(refused)?;
        let (newline, end) = Newline::open_for(program).map_err(refused)?.unzip();
        let means = Means {
            notices: notices.as_ref(),
            port: port.as_ref().map(PrivatePort::number),
            pipes: pipes.as_ref(),
            end: end.as_ref(),
        };
        let (main, ours) = fork_program(program, post, &means).map_err(refused)?;
        drop(end);
        let calls = match program.ways.pass {
            // Without it there are words instead.
            Pass::Adopt => passing::wait(&ours).map(|it| Calls::new(Adopter::new(it))),
            _ => None,
        };
        let words = last_words(ours).map_err(refused)?;
        if !words.is_empty() {
            process::wait_for(main);
            return Err(words.trim().into());
        }
        let handler = format!("{pool}/{}", post.seat.slot);
        // From here on this process has more than one thread, and forks no more.
        let lines = pipes.map(|pipes| pipes.pass_on(&handler, post.seat.slot));
        let lines = lines.transpose().map_err(refused)?;
        let asking = Asking::of(program, post.listeners.first());
        // Until more is known.
        let not_asked = asking.as_ref().map(Asking::seen);
        let missing = not_asked.or_else(|| missing(program, port.as_ref()));
        missing.iter().for_each(|missing| post.say_why_not(missing));
        let (stage, since) = (Stage::Starting, clock::now());
        Ok(Self {
            program,
            post,
            main,
            ended: None,
            signals,
            notices,
            lines,
            newline,
            asking,
            watchdog: program.watchdog.map(Watchdog::new),
            aborted: None,
            in_hand: None,
            inodes: post.listeners.iter().filter_map(inode).collect(),
            calls,
            port,
            relay: None,
            departure: Departure::Done,
            seen: Vec::new(),
            stage,
            since,
            search: Search::new(),
            hears: true,
            orphaned: None,
            carries_until: None,
        })
    }
}

/// By what a program is heard and reached.
struct Means<'a> {
    notices: Option<&'a Notices>,
    port: Option<u16>,
    pipes: Option<&'a Pipes>,
    end: Option<&'a Theirs>,
}

/// Makes a process that becomes the program; returns it and the channel that closes when it has.
fn fork_program(program: &Program, post: &Post, means: &Means<'_>) -> io::Result<(Pid, OwnedFd)> {
    let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?;
    let own = rustix::process::getpid();
    match process::fork()? {
        Fork::Parent(main) => Ok((main, ours)),
        Fork::Child => {
            drop(ours);
            // Should the warden be killed, nobody is left who could stop it.
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            if rustix::process::getppid() != Some(own) {
                process::exit_now(Departure::NotStarted.code());
            }
            means.pipes.into_iter().for_each(Pipes::take_place);
            become_program(program, post, means, (own, theirs))
        }
    }
}

/// What a process says that does not become the program; the end comes when it has.
fn last_words(channel: OwnedFd) -> io::Result<String> {
    let mut words = String::new();
    File::from(channel).take(4096).read_to_string(&mut words)?;
    Ok(words)
}

/// A port for a program that is to have one of its own.
fn private_port(program: &Program) -> io::Result<Option<PrivatePort>> {
    (program.ways.pass == Pass::Port).then(PrivatePort::choose).transpose()
}

/// What a program that has just been started has not done yet.
fn missing(program: &Program, port: Option<&PrivatePort>) -> Option<String> {
    match program.ready {
        Ready::Notify => Some("it has not said READY=1".into()),
        Ready::Descriptor(fd) => Some(format!("it has ended no line at descriptor {fd}")),
        Ready::After(time) => Some(format!("it is to have {} s to start", time.as_secs_f64())),
        _ => match program.ways.pass {
            Pass::Adopt => Some("it has opened no address".into()),
            Pass::Port => port.map(nobody_at),
            given => Some(format!("it does not wait at the address that it has {}", place(given))),
        },
    }
}

/// Where a program has its address.
fn place(pass: Pass) -> String {
    match pass {
        Pass::StandardInput => "as its standard input".into(),
        Pass::Descriptors(first) => format!("as descriptor {first}"),
        _ => format!("as descriptor {}, told by LISTEN_FDS", launch::FIRST),
    }
}

/// What to try where the program does not accept at its private port.
fn nobody_at(port: &PrivatePort) -> String {
    let place = port.usual();
    format!("it does not accept at {place}, which PORT and {{port}} in its arguments tell it")
}

fn pipes(program: &Program) -> io::Result<Option<Pipes>> {
    match program.output {
        Output::Prefixed => Pipes::open(program.rights.owner()).map(Some),
        Output::Through => Ok(None),
    }
}

fn inode(listener: &Listener) -> Option<u64> {
    rustix::fs::fstat(listener).ok().map(|it| it.st_ino)
}

/// In a new process: becomes the program, or says why not.
fn become_program(
    program: &Program,
    post: &Post,
    means: &Means<'_>,
    (warden, channel): (Pid, OwnedFd),
) -> ! {
    signal::clean_slate();
    let place = Place {
        slot: post.seat.slot,
        generation: post.seat.generation,
        spawner: post.spawner,
        listeners: &post.listeners,
        notify: means.notices.map(Notices::name),
        port: means.port,
        line: means.end.map(|(end, number)| (end.as_fd(), *number)),
        warden,
        channel: &channel,
    };
    launch::become_or_say(program, &place)
}
