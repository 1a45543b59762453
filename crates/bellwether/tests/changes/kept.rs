//! What changes cost a thousand clients that keep their connections: no request.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::crowd::{Books, Crowd};
use crate::kit::{Launch, PATIENCE, Run, assert_conserved, eventually, example};
use crate::pool::connect;
use crate::way::{Way, scale, wait_calm};

/// A thousand that rest, and 200 that do not.
const CROWD: Crowd =
    Crowd { resting: (1000, 40), active: (100, 100), rest: Duration::from_millis(4500) };

#[track_caller]
fn start(handlers: usize) -> Run {
    // A thousand clients are more descriptors than many systems allow unasked.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let words = ["127.0.0.1:0".into(), format!("handlers={handlers}"), "canary=20".into()];
    let run = Launch::of(example("web")).args(words).start();
    run.wait_ready(handlers);
    run
}

/// Waits until so many more were answered.
#[track_caller]
fn more_answers(books: &Books, number: usize) {
    let before = Books::count(&books.answered);
    eventually(PATIENCE, "more answers", || {
        books.assert_nothing_failed();
        (Books::count(&books.answered) >= before + number).then_some(())
    });
}

/// Lets the crowd do something while the server is changed, and looks what it cost.
#[track_caller]
fn lose_nothing(crowd: Crowd, handlers: usize, left: usize, change: impl Fn(&Run)) {
    let mut run = start(handlers);
    let books = crowd.beside(run.socket_addr(), |books| {
        more_answers(books, 2000);
        change(&run);
        more_answers(books, 2000);
    });
    println!("{books}");
    wait_calm(&run, left);
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn three_reloads_cost_a_thousand_kept_connections_no_request() {
    lose_nothing(CROWD, 4, 4, |run| {
        for _ in 0..3 {
            Way::Reload.succeed(run);
            wait_calm(run, 4);
        }
    });
}

#[test]
fn two_upgrades_cost_a_thousand_kept_connections_no_request() {
    lose_nothing(CROWD, 4, 4, |run| {
        for _ in 0..2 {
            Way::Upgrade.succeed(run);
            wait_calm(run, 4);
        }
    });
}

#[test]
fn a_scale_down_and_up_again_costs_a_thousand_kept_connections_no_request() {
    lose_nothing(CROWD, 8, 8, |run| {
        for handlers in [2, 8] {
            scale(&run.control(), &handlers.to_string()).answer();
            wait_calm(run, handlers);
        }
    });
}

#[test]
fn clients_that_ask_spread_over_more_handlers_and_those_that_rest_are_left_alone() {
    let mut run = start(2);
    let resting = Crowd { resting: (20, 0), active: (0, 0), rest: Duration::from_secs(60) };
    let asking = Crowd { resting: (0, 0), active: (40, 40), ..resting };
    let quiet = resting.beside(run.socket_addr(), |quiet| {
        more_answers(quiet, 20);
        let books = asking.beside(run.socket_addr(), |books| {
            more_answers(books, 2000);
            scale(&run.control(), "8").answer();
            eventually(PATIENCE, "no handler with far more than its share", || {
                books.assert_nothing_failed();
                let pool = run.pool();
                let open = pool["handlers"].as_array()?.iter().map(|it| it["open"].as_u64());
                let open: Vec<_> = open.collect::<Option<_>>()?;
                let average = open.iter().sum::<u64>() / 8;
                open.iter().all(|it| *it <= average + average / 2 + 5).then_some(())
            });
            more_answers(books, 2000);
        });
        println!("{books}");
        assert_eq!(Books::count(&books.crossed), 0, "closed without a word: {books}");
    });
    let [opened, left] = [&quiet.opened, &quiet.left].map(Books::count);
    assert_eq!((opened, left), (20, 0), "who rested was closed: {quiet}");
    wait_calm(&run, 8);
    assert_conserved(&run.status());
    run.stop();
}

#[test]
fn a_request_of_which_half_is_there_when_idle_connections_are_closed_is_answered() {
    let mut run = start(1);
    let mut clients: Vec<_> = (0..2).map(|_| connect(run.socket_addr())).collect();
    for client in &mut clients {
        client.write_all(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(client.read(&mut [0; 1024]).unwrap() > 0);
    }
    Way::Reload.succeed(&run);
    let [idle, asking] = &mut clients[..] else { unreachable!("there are two") };
    asking.write_all(b"GET /2 HTTP/1.1\r\nHo").unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "it is closed");
    asking.write_all(b"st: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    asking.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n") && answer.contains("\r\n\r\n2 "), "{answer}");
    run.stop();
}
