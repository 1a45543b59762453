use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

use rustix::event::epoll::{self, EventData};
use rustix::net::Shutdown;
use tokio::runtime::{Builder, Runtime};

use super::ledger::Line;
use super::*;

const MOMENT: Option<Duration> = Some(Duration::from_millis(20));
const LONG: Option<Duration> = Some(Duration::from_secs(10));

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn knock(listener: &TcpListener) -> TcpStream {
    TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

/// Which descriptors are in the epoll, as the kernel says.
fn contents(epoll: &OwnedFd) -> Vec<i32> {
    Line::all_of(epoll.as_raw_fd()).unwrap().into_iter().map(|line| line.fd).collect()
}

#[test]
fn what_is_ready_is_told_until_it_is_not() {
    let listener = listener();
    runtime().block_on(async {
        let mut poller = RuntimePoller::new().unwrap();
        poller.add(listener.as_fd(), 7, Interest::ReadAlone).unwrap();
        assert_eq!(poller.wait_one(MOMENT).await.unwrap(), None);
        let _clients = [knock(&listener), knock(&listener)];
        for _ in 0..2 {
            let ready = poller.wait_one(LONG).await.unwrap().unwrap();
            assert_eq!(ready, Ready { token: 7, hung_up: false });
            drop(listener.accept().unwrap());
        }
        assert_eq!(poller.wait_one(MOMENT).await.unwrap(), None);
    });
}

#[test]
fn what_was_taken_out_is_not_told_and_may_come_back_under_the_same_token() {
    let listener = listener();
    runtime().block_on(async {
        let mut poller = RuntimePoller::new().unwrap();
        poller.add(listener.as_fd(), 7, Interest::ReadAlone).unwrap();
        let registrations = contents(&poller.epoll).len();
        let _client = knock(&listener);
        for _ in 0..3 {
            poller.remove(listener.as_fd()).unwrap();
            assert_eq!(poller.wait_one(MOMENT).await.unwrap(), None);
            poller.add(listener.as_fd(), 7, Interest::ReadAlone).unwrap();
            assert_eq!(poller.wait_one(LONG).await.unwrap().unwrap().token, 7);
        }
        assert_eq!(contents(&poller.epoll).len(), registrations, "nothing is left over");
        let twice = poller.add(listener.as_fd(), 8, Interest::ReadAlone).unwrap_err();
        assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
    });
}

#[test]
fn of_those_who_wait_alone_one_is_woken() {
    let listener = listener();
    let (say, told) = std::sync::mpsc::channel();
    let (say_joined, joined) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (say, say_joined, listener) = (say.clone(), say_joined.clone(), &listener);
            scope.spawn(move || {
                runtime().block_on(async {
                    let mut poller = RuntimePoller::new().unwrap();
                    poller.add(listener.as_fd(), 0, Interest::ReadAlone).unwrap();
                    // Once before it is said, so that all sleep in their epoll when it counts.
                    poller.wait_one(MOMENT).await.unwrap();
                    say_joined.send(()).unwrap();
                    let woken = poller.wait_one(Some(Duration::from_millis(500))).await.unwrap();
                    say.send(woken.is_some()).unwrap();
                });
            });
        }
        (0..4).for_each(|_| joined.recv().unwrap());
        // A thread that has said so may not sleep yet, and would be passed over: no harm here.
        let _client = knock(&listener);
        let woken = (0..4).filter(|_| told.recv().unwrap()).count();
        assert!((1..4).contains(&woken), "{woken} of 4 were woken");
    });
}

#[test]
fn it_leaves_nothing_in_the_epoll() {
    let listener = listener();
    let runtime = runtime();
    let epoll = runtime.block_on(async {
        let poller = RuntimePoller::new().unwrap();
        poller.add(listener.as_fd(), 0, Interest::ReadAlone).unwrap();
        let epoll = poller.epoll.try_clone().unwrap();
        assert!(contents(&epoll).contains(&listener.as_raw_fd()));
        epoll
    });
    let left = contents(&epoll);
    assert!(!left.contains(&listener.as_raw_fd()), "under a token of what is gone: {left:?}");
    // The runtime lives on: a token left behind would be followed now.
    let _client = knock(&listener);
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
}

#[test]
fn a_listener_that_was_shut_down_and_revived_is_told_as_any_other() {
    let listener = listener();
    runtime().block_on(async {
        let mut poller = RuntimePoller::new().unwrap();
        poller.add(listener.as_fd(), 7, Interest::ReadAlone).unwrap();
        rustix::net::shutdown(&listener, Shutdown::Read).unwrap();
        let ready = poller.wait_one(LONG).await.unwrap().unwrap();
        assert!(ready.hung_up);
        rustix::net::listen(&listener, 8).unwrap();
        assert_eq!(poller.wait_one(MOMENT).await.unwrap(), None, "nobody is there");
        let _client = knock(&listener);
        let ready = poller.wait_one(LONG).await.unwrap().unwrap();
        assert_eq!(ready, Ready { token: 7, hung_up: false });
    });
}

#[test]
fn a_listener_that_is_shut_down_is_told_for_ever() {
    let listener = listener();
    runtime().block_on(async {
        let mut poller = RuntimePoller::new().unwrap();
        poller.add(listener.as_fd(), 7, Interest::ReadAlone).unwrap();
        rustix::net::shutdown(&listener, Shutdown::Read).unwrap();
        for _ in 0..100 {
            assert!(poller.wait_one(LONG).await.unwrap().unwrap().hung_up);
        }
    });
}

#[test]
fn the_runtime_has_its_turn_however_much_is_ready() {
    let listeners: Vec<_> = std::iter::repeat_with(listener).take(3).collect();
    let _clients: Vec<_> = listeners.iter().map(knock).collect();
    runtime().block_on(async {
        let mut poller = RuntimePoller::new().unwrap();
        for (token, listener) in (0..).zip(&listeners) {
            poller.add(listener.as_fd(), token, Interest::ReadAlone).unwrap();
        }
        let other = tokio::spawn(async { tokio::task::yield_now().await });
        let mut told = [0; 3];
        while !other.is_finished() {
            let token = poller.wait_one(LONG).await.unwrap().unwrap().token;
            told[usize::try_from(token).unwrap()] += 1;
        }
        for _ in 0..30 {
            let token = poller.wait_one(LONG).await.unwrap().unwrap().token;
            told[usize::try_from(token).unwrap()] += 1;
        }
        assert!(told.iter().all(|times| *times >= 5), "each has its turn: {told:?}");
    });
}

#[test]
fn a_runtime_of_several_threads_and_none_at_all_are_refused() {
    assert!(RuntimePoller::new().is_err());
    let several = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    assert!(several.block_on(async { RuntimePoller::new().is_err() }));
}

#[test]
fn another_file_under_the_same_number_is_not_taken_for_it() {
    runtime().block_on(async {
        let alarm = register(silent().unwrap()).unwrap();
        let (epoll, token) = ledger::find(alarm.get_ref()).unwrap();
        assert_eq!(ledger::token_of(alarm.get_ref(), &epoll).unwrap(), token);
        // The epoll knows a file under this number, but another one.
        let other = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let stranger = silent().unwrap();
        let number = stranger.as_raw_fd();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&other, &stranger, EventData::new_u64(99), flags).unwrap();
        let _kept = stranger.try_clone().unwrap();
        drop(stranger);
        let ours = silent().unwrap();
        assert_eq!(contents(&other), [number], "the line is still there");
        if ours.as_raw_fd() == number {
            assert!(ledger::token_of(&ours, &other).is_err());
        }
    });
}
