//! Whether a program takes up one connection at a time: tried, with two that say nothing.
//!
//! A serial program waits for the word of the first and leaves the second in its queue.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::event::Timespec;

use super::private_port::{PrivatePort, call};
use crate::sys::clock;

/// For so long one must be seen to wait while another was taken up.
const CERTAIN: Duration = Duration::from_millis(200);

/// For so long a program may take up nothing at all, since it is busy or has no processor.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon it is looked again.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Tells whether a program that listens there takes up one connection at a time; where that cannot
/// be seen it is believed to take many.
///
/// Takes milliseconds for one that takes several, else up to a second.
pub(crate) fn takes_one_at_a_time(port: &PrivatePort, place: SocketAddr) -> bool {
    let Ok(_calls) = [0; 2].map(|_| call(place)).into_iter().collect::<Result<Vec<_>, _>>() else {
        return false;
    };
    let began = clock::now();
    let mut one_waits_since = None;
    loop {
        let now = clock::now();
        let waiting: u32 = port.listeners().iter().map(|it| it.depth).sum();
        match waiting {
            0 => return false,
            1 => {
                let since = *one_waits_since.get_or_insert(now);
                if now.saturating_sub(since) >= CERTAIN {
                    return true;
                }
            }
            _ => one_waits_since = None,
        }
        if now.saturating_sub(began) >= PATIENCE {
            return false;
        }
        let _ = rustix::event::poll(&mut [], Some(&PAUSE));
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, eventually};
    use super::*;

    fn check(name: &str, script: &str, expected: bool) {
        let port = PrivatePort::choose().unwrap();
        let text = format!(
            "import sys, socket, time, threading, http.server as h, socketserver\n{script}"
        );
        let number = port.number().to_string();
        let Some(trial) = Trial::start("python3", &["-c", &text, &number]) else { return };
        let place = eventually("it to listen", || port.found(trial.family().pids()));
        assert_eq!(takes_one_at_a_time(&port, place), expected, "{name}");
    }

    #[test]
    fn a_program_shows_whether_it_takes_several_at_once() {
        let at = "('127.0.0.1', int(sys.argv[1]))";
        let http = |kind: &str| format!("h.{kind}({at}, h.BaseHTTPRequestHandler).serve_forever()");
        check("serial", &http("HTTPServer"), true);
        check("threads", &http("ThreadingHTTPServer"), false);
        let plain = format!("s = socket.create_server({at})\n");
        check("blocking", &format!("{plain}while 1: s.accept()[0].recv(9)"), true);
        check("collects", &format!("{plain}k = []\nwhile 1: k.append(s.accept())"), false);
        check("busy", &format!("{plain}time.sleep(99)"), false);
    }
}
