//! A server in distress: its handlers have no descriptors left, nobody reads its log, and more ask than it
//! can answer. Whoever watches is answered all the same.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Observer, text};
use crate::kit::{PATIENCE, Run, eventually};
use crate::log::fill;
use crate::stage::{ask, shell};

/// A handler can hold fewer connections than this.
const DESCRIPTORS: usize = 96;

/// Opens connections, each with a request that never comes to its end.
fn crowd(server: &Run) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(server.socket_addr()).ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").ok()?;
        Some(stream)
    };
    (0..6 * DESCRIPTORS).filter_map(connect).collect()
}

#[test]
fn a_server_in_distress_tells_how_it_is() {
    let (_reader, mut pipe) = std::io::pipe().unwrap();
    fill(&mut pipe);
    let script = format!(
        "ulimit -n {DESCRIPTORS}; exec 2>&0 </dev/null \"$0\" serve --listen 127.0.0.1:0 --handlers 2 \
         --connections 1024 --name shop"
    );
    let mut server = shell(&script).stdin(OwnedFd::from(pipe)).start();
    server.wait_ready(2);
    let observer = Observer::of(&server, &[]);
    let crowd = crowd(&server);
    eventually(PATIENCE, "handlers without a descriptor", || {
        let pool = server.pool();
        let short = |it: &serde_json::Value| it["accept_errors"].as_u64() > Some(0);
        pool["handlers"].as_array()?.iter().any(short).then_some(())
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ =
                    TcpStream::connect_timeout(&server.socket_addr(), Duration::from_millis(50));
            }
        });
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            for path in ["/live", "/ready", "/status.json", "/metrics"] {
                let since = Instant::now();
                let reply = observer.get(path);
                assert_eq!(reply.status, 200, "{path}: {}", text(&reply));
                slowest = slowest.max(since.elapsed());
            }
        }
        let since = Instant::now();
        assert!(ask(&server, &["status"]).status.success());
        println!("the slowest answer took {slowest:?}, a status {:?}", since.elapsed());
        over.store(true, Ordering::Relaxed);
    });
    drop(crowd);
    server.stop();
}
