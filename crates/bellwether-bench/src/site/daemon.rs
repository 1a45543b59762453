//! A server's first process with its temporary folder.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::open_loop::Target;
use crate::our_server::RUNTIME;
use crate::pool::{signal, this_program};
use crate::process;

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Daemon {
    master: Child,
    folder: TempDir,
}

/// A folder that the server's own user can read.
pub(crate) fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("bellwether-bench-").tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddrV4> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port()))
}

/// The user who serves: a server that is started by root wants another.
pub(crate) fn user() -> Option<&'static str> {
    // Debian's user for web servers.
    rustix::process::geteuid().is_root().then_some("www-data")
}

impl Daemon {
    pub(crate) fn start(command: &[&str], folder: TempDir) -> Result<Self> {
        let log = File::create(folder.path().join("output"))?;
        let master = this_program()
            .arg("leashed")
            .args(command)
            // Only bellwether looks for it.
            .env(RUNTIME, folder.path())
            // Apache ends by signalling its whole process group.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", command[0]))?;
        Ok(Self { master, folder })
    }

    pub(crate) fn master(&self) -> u32 {
        self.master.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks until there is an answer; without one, tells what the server wrote.
    pub(crate) fn wait_until_it_serves(&mut self, target: &Target) -> Result<()> {
        self.wait_until(|| target.ask(PATIENCE).map(drop))
    }

    /// Tries until it works; when it never does, tells what the server wrote.
    pub(crate) fn wait_until(&mut self, works: impl Fn() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = works() else { return Ok(()) };
            if self.master.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{error:#}; the server wrote:\n{}", written(self.folder.path()));
            }
            thread::sleep(PAUSE);
        }
    }
}

fn written(folder: &Path) -> String {
    let read = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
    ["output", "error.log"].map(read).concat()
}

impl Drop for Daemon {
    /// Asks the master to stop, and kills what does not.
    fn drop(&mut self) {
        let all = process::tree(self.master()).unwrap_or_default();
        signal(self.master(), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.master.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                all.iter().for_each(|&pid| signal(pid, Signal::KILL));
            }
            thread::sleep(PAUSE);
        }
    }
}
