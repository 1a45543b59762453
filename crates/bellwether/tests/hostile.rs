//! A handler in an attacker's hands: what it cannot do to the spawner and to its siblings.

use std::process::{Command, Stdio};

use kit::{
    Launch, PATIENCE, Process, Run, Until, assert_conserved, eventually, example, load, processes,
    usage,
};
use pool::{Held, say, start, sum};

mod kit;
mod pool;

/// After whatever was done, every request is answered and nobody but the pool was touched.
fn assert_serves(run: &Run) {
    let ledger = load(run.socket_addr(), 4, Until::Requests(25));
    let failed: Vec<_> = ledger.entries().filter(|entry| !entry.is_answered()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    run.wait_ready(4);
    let status = run.status();
    assert_eq!(
        kit::control::pool(&status)["totals"]["alive"],
        4,
        "as many handlers as were asked for"
    );
    assert_conserved(&status);
}

#[test]
fn a_handler_maps_what_it_needs_and_can_write_only_its_own() {
    let mut run = start(&["handlers=4"]);
    let address = run.socket_addr();
    // The second generation of a slot and a second template must see no more than the first.
    say(address, "abort");
    run.wait_ready(4);
    assert_eq!(
        say(address, "pages"),
        "writable /memfd:bellwether-bell,/memfd:bellwether-telemetry readable /memfd:bellwether-control"
    );
    assert_eq!(say(address, "scribble-control"), "0", "the kernel refuses every byte");
    let seized = say(address, &format!("seize-control {}", run.pid()));
    assert!(seized.contains("not permitted"), "even through /proc: {seized}");
    run.stop();
}

#[test]
fn a_handler_has_only_the_descriptors_that_it_needs() {
    let mut run = start(&["handlers=4"]);
    let listed = say(run.socket_addr(), "descriptors");
    // Standard input, output, error; then listener, channel, epoll, the bell's rope and doorbell, the
    // connection, the listing.
    let open: Vec<_> = listed.split(' ').collect();
    assert_eq!(open.iter().filter(|name| **name == "socket").count(), 3, "{listed}");
    assert_eq!(open.iter().filter(|name| name.contains("anon_inode")).count(), 3, "{listed}");
    assert!(!listed.contains("memfd") && !listed.contains("signalfd"), "{listed}");
    run.stop();
}

#[test]
fn random_bytes_in_all_that_a_handler_can_write_do_not_steer_the_spawner() {
    let mut run = start(&["handlers=4"]);
    let mut stranger = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let address = run.socket_addr();
    for _ in 0..25 {
        let written: usize = say(address, "scribble").parse().expect("a number of bytes");
        assert!(written >= 4096, "something was written: {written}");
        run.status(); // reads the page while it is rubbish
    }
    let contradicted = "telemetry contradicts itself, replacing it";
    eventually(PATIENCE, "a liar to be replaced", || {
        run.logs().contains(contradicted).then_some(())
    });
    assert_serves(&run);
    assert!(stranger.try_wait().unwrap().is_none(), "no stranger was signalled");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    run.stop();
}

#[test]
fn a_handler_that_turns_shared_flags_does_not_hang_the_spawner() {
    let mut run = start(&["handlers=4"]);
    for _ in 0..4 {
        assert_eq!(say(run.socket_addr(), "flags"), "turned");
        assert_serves(&run);
    }
    run.stop();
}

#[test]
fn a_listener_that_a_handler_shuts_down_serves_again() {
    let mut run = start(&["handlers=4"]);
    for _ in 0..3 {
        let address = run.socket_addr();
        assert_eq!(say(address, "shut"), "1");
        eventually(PATIENCE, "the address to answer again", || {
            let stream = std::net::TcpStream::connect(address).ok()?;
            drop(stream);
            run.pool()["handlers"].as_array()?.iter().any(|h| h["state"] == "idle").then_some(())
        });
        assert_serves(&run);
    }
    run.stop();
}

#[test]
fn a_unix_listener_that_a_handler_shuts_down_is_opened_anew() {
    let launch = Launch::of(example("pool"));
    let path = launch.path("s");
    let mut run = launch.arg(format!("unix:{}", path.display())).arg("handlers=3").start();
    run.wait_ready(3);
    for _ in 0..2 {
        assert_eq!(say_unix(&path, "shut").as_deref(), Some("1"));
        eventually(PATIENCE, "the address to answer again", || {
            say_unix(&path, "pid").filter(|answer| !answer.is_empty())
        });
        run.wait_ready(3);
    }
    run.stop();
    assert!(!path.exists(), "the socket file is gone with the server");
}

fn say_unix(path: &std::path::Path, word: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("{word}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.trim_end().into())
}

#[test]
fn a_handler_that_closes_or_floods_its_channel_is_replaced_or_ignored() {
    let mut run = start(&["handlers=4", "grace=500"]);
    let address = run.socket_addr();
    assert!(say(address, "flood").starts_with("poured"));
    assert_serves(&run);
    let before = usage::voluntary_switches(run.pid());
    assert!(say(address, "deaf").starts_with("deaf"));
    eventually(PATIENCE, "the deaf one to be replaced", || {
        (run.pool()["totals"]["exited"].as_u64()? >= 1).then_some(())
    });
    assert_serves(&run);
    let switches = usage::voluntary_switches(run.pid()) - before;
    assert!(switches < 2_000, "the spawner does not spin: {switches} wake-ups");
    run.stop();
}

#[test]
fn a_handler_killed_while_it_writes_its_page_stops_nobody() {
    let mut run = start(&["handlers=4"]);
    let address = run.socket_addr();
    let held: Vec<_> = (0..3).map(|_| Held::open(address)).collect();
    for _ in 0..20 {
        say(address, "abort");
        run.status();
    }
    assert_eq!(sum(&run.status(), "open"), 3, "the others hold what they held");
    held.into_iter().for_each(Held::release);
    assert_serves(&run);
    let spawner = Process::find(run.pid()).expect("the spawner lives");
    assert!(!spawner.is_zombie() && processes::is_alive(run.pid()));
    run.stop();
}
