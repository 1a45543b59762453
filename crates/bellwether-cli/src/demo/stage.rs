//! The server of a demo: a process of its own, whose handlers block as those of real services do.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bellwether::{Address, Connection, Error, Handler, Seat, Server, remote};
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};

/// What a request waits for, as for a database.
const WORK: Duration = Duration::from_millis(50);

/// How many handlers there may be.
const MOST: usize = 32;

/// What is asked for to kill a handler.
pub(super) const DEADLY: &str = "/die";

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs; it does not outlive this value.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    server: Child,
}

impl Stage {
    /// Starts the server.
    pub(super) fn set(listen: &Address) -> Result<Self, Error> {
        let system =
            |source| Error::System { doing: "start the server of the demo".into(), source };
        let name = match remote::names()?.iter().any(|name| name == "demo") {
            true => format!("demo-{}", std::process::id()),
            false => "demo".into(),
        };
        let program = std::env::current_exe().map_err(system)?;
        let mut command = Command::new(program);
        command.args(["demo", "--stage", &name, "--listen", &listen.to_string()]);
        // What it logs would be drawn over; what goes wrong at the start is seen by its absence.
        command.env("BELLWETHER_LOG", "error").stdin(Stdio::null()).stdout(Stdio::null());
        let mut stage = Self {
            name,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            server: command.spawn().map_err(system)?,
        };
        stage.wait_until_ready()?;
        Ok(stage)
    }

    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        let problem = loop {
            if let Ok(Some(status)) = self.server.try_wait() {
                break format!("its server ended at once ({status}), and has said why");
            }
            if Instant::now() > until {
                break format!("its server is not ready after {} s", PATIENCE.as_secs());
            }
            let address = remote::status(Some(&self.name)).ok().and_then(|status| {
                let pool = status.pools.first()?;
                let ready = pool.handlers.iter().any(|it| it.state == "idle");
                let address = pool.addresses.first()?.address.strip_prefix("tcp://")?.parse().ok();
                address.filter(|_| ready)
            });
            if let Some(address) = address {
                self.address = address;
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        };
        Err(Error::Boot { problem })
    }

    /// Stops the server and waits until it has ended.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        remote::stop(Some(&self.name), false)?.wait()?;
        let system = |source| Error::System { doing: "wait for the demo's server".into(), source };
        self.server.wait().map(drop).map_err(system)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }
}

/// Serves until it is told to stop, or whoever plays is gone.
pub(super) fn serve(name: &str, listen: &Address) -> Result<(), Error> {
    crate::log::start()?;
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    // Its handlers die by intent: nobody wants to read their remains.
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    let server = Server::builder().listen(listen).name(name).bounds(1, MOST);
    let server = server.crash_budget(6000).canary(Duration::from_millis(200)).open()?;
    server.run(Actor::default()).map(drop)
}

/// Waits a while for each request, and dies when it is asked to.
#[derive(Clone, Debug, Default)]
struct Actor {
    slot: usize,
}

impl Handler for Actor {
    fn start(&mut self, seat: &Seat) -> Result<(), bellwether::BoxError> {
        self.slot = seat.slot();
        Ok(())
    }

    fn handle(&mut self, connection: Connection) {
        let mut connection = BufReader::new(connection);
        let Some(target) = target(&mut connection) else { return };
        if target == DEADLY {
            std::process::abort();
        }
        sleep(WORK);
        let body = format!("handler {}, process {}\n", self.slot, std::process::id());
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n";
        let reply = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let _ = connection.get_mut().write_all(reply.as_bytes());
    }
}

/// Reads a request as far as its empty line; what it asks for.
fn target(connection: &mut impl BufRead) -> Option<String> {
    const LONGEST: u64 = 8192;
    let mut lines = std::io::Read::take(connection, LONGEST).lines();
    let first = lines.next()?.ok()?;
    // Without an end there was no request.
    lines.map_while(Result::ok).find(String::is_empty)?;
    first.split(' ').nth(1).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_to_its_end() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(target(&mut text.as_bytes()).as_deref(), expected, "{text:?}");
        };
        check("GET /die HTTP/1.1\r\nHost: x\r\n\r\n", Some("/die"));
        check("GET / HTTP/1.1\r\n\r\nrest", Some("/"));
        check("GET / HTTP/1.1\r\nHost: x\r\n", None);
        check("rubbish\r\n\r\n", None);
        check("", None);
        check(&"x".repeat(10_000), None);
    }
}
