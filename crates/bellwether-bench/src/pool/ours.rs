//! Our server: the spawner as a child process, asked through its control socket.

use std::fs::{self, DirBuilder};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddrV4;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Count, Pool, this_program};
use crate::mode::Mode;
use crate::our_server::{NAME, RUNTIME};
use crate::process;

const PATIENCE: Duration = Duration::from_secs(20);
/// How often to look again at what tells no one when it changes.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) struct OurPool {
    spawner: Child,
    runtime: RuntimeFolder,
    address: SocketAddrV4,
}

impl OurPool {
    pub(crate) fn start(mode: Mode, handlers: usize) -> Result<Self> {
        let (mode, count) = (mode.to_string(), handlers.to_string());
        Self::launch(&["our-server", "--notification", &mode, "--handlers", &count], handlers)
    }

    /// Starts this program under a hidden name, and waits for its first `handlers` handlers.
    pub(crate) fn launch(arguments: &[&str], handlers: usize) -> Result<Self> {
        let runtime = RuntimeFolder::create()?;
        let spawner = this_program()
            .args(arguments)
            .env(RUNTIME, &runtime.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start our server")?;
        let nowhere = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
        let mut pool = Self { spawner, runtime, address: nowhere };
        pool.wait_until(|idle| idle >= handlers)?;
        pool.address = pool.listening()?;
        Ok(pool)
    }

    pub(crate) fn spawner(&self) -> u32 {
        self.spawner.id()
    }

    /// Waits until `handlers` handlers wait for connections.
    pub(crate) fn wait_until_idle(&mut self, handlers: usize) -> Result<Vec<Handler>> {
        self.wait_until(|idle| idle == handlers)
            .with_context(|| format!("there should be {handlers} idle handlers"))
    }

    fn wait_until(&mut self, enough: impl Fn(usize) -> bool) -> Result<Vec<Handler>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = self.handlers();
            if let Ok(all) = &all
                && enough(all.iter().filter(|handler| handler.idle).count())
            {
                return Ok(all.clone());
            }
            ensure!(self.spawner.try_wait()?.is_none(), "our server has ended");
            if Instant::now() > deadline {
                let seen = all.map(|all| format!("{all:?}"));
                return seen.and_then(|seen| anyhow::bail!("after {PATIENCE:?}: {seen}"));
            }
            thread::sleep(PAUSE);
        }
    }

    pub(crate) fn handlers(&self) -> Result<Vec<Handler>> {
        let pool = self.pool()?;
        let handlers = pool["handlers"].as_array().context("the status lists no handlers")?;
        handlers.iter().map(Handler::read).collect()
    }

    /// Where the server listens; the status says which port the kernel chose.
    fn listening(&self) -> Result<SocketAddrV4> {
        let pool = self.pool()?;
        let address = pool["addresses"][0]["address"].as_str().context("no address in status")?;
        let (host_and_port, _) = address.split_once('?').unwrap_or((address, ""));
        host_and_port
            .trim_start_matches("tcp://")
            .parse()
            .with_context(|| format!("cannot read the address {address}"))
    }

    /// What the status says about the server's only pool.
    pub(crate) fn pool(&self) -> Result<Value> {
        Ok(self.command(&json!({ "verb": "status" }))?["pools"][0].take())
    }

    /// Says a command at the control socket, and returns the first line of the answer.
    pub(crate) fn command(&self, command: &Value) -> Result<Value> {
        let path = self.control();
        ask(&path, command).with_context(|| format!("cannot ask {}", path.display()))
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.runtime.path.join(NAME).join("control.sock")
    }
}

fn ask(path: &Path, command: &Value) -> Result<Value> {
    let mut control = UnixStream::connect(path)?;
    control.set_read_timeout(Some(PATIENCE))?;
    writeln!(control, "{command}")?;
    let mut line = String::new();
    BufReader::new(control).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

impl Pool for OurPool {
    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn counts(&mut self) -> Result<Vec<Count>> {
        let handlers = self.handlers()?;
        Ok(handlers.iter().map(|handler| handler.count).collect())
    }

    fn processes(&self) -> Result<Vec<u32>> {
        process::tree(self.spawner())
    }
}

impl Drop for OurPool {
    /// Asks the spawner to stop, and kills what does not.
    fn drop(&mut self) {
        let processes = self.processes().unwrap_or_default();
        signal(self.spawner(), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.spawner.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("our server ignores SIGTERM: killed");
                processes.iter().for_each(|&pid| signal(pid, Signal::KILL));
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Sends a signal; a process that has gone already is as good.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// One handler as the status shows it.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    pub(crate) idle: bool,
    pub(crate) count: Count,
    /// From the fork to the first accept, if the status says so.
    pub(crate) first_accept_us: Option<u64>,
}

impl Handler {
    fn read(handler: &Value) -> Result<Self> {
        let number = |key: &str| {
            handler[key].as_u64().with_context(|| format!("a handler without {key}: {handler}"))
        };
        let count = Count {
            pid: u32::try_from(number("pid")?)?,
            wins: number("wins")?,
            losses: number("losses")?,
        };
        Ok(Self {
            idle: handler["state"] == "idle",
            count,
            first_accept_us: handler["first_accept_us"].as_u64(),
        })
    }
}

/// A folder of this run for the server's control socket, so that no other server is met.
struct RuntimeFolder {
    path: PathBuf,
}

impl RuntimeFolder {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("bellwether-bench-{}", std::process::id()));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).ok();
    }
}
