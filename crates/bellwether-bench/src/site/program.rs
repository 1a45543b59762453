//! Programs that know nothing of bellwether, in an elastic pool of `bellwether run`.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Site;
use super::daemon::{Daemon, folder, free_address};
use super::fpm::SCRIPT;
use super::packages::{Package, find};
use crate::journal::{Entries, Journal};
use crate::open_loop::{Target, Wire};
use crate::our_server::NAME;
use crate::{executable, python};

const PHP_CGI: Package = Package { program: "/usr/bin/php-cgi", name: "php-cgi" };

/// Does in Python what `SCRIPT` does in PHP.
const APPLICATION: &str = r#"
import time
from urllib.parse import parse_qs

def app(environ, start):
    begin = time.monotonic_ns()
    query = parse_qs(environ["QUERY_STRING"])
    time.sleep(int(query["sleep_us"][0]) / 1e6)
    served = (time.monotonic_ns() - begin) // 1000
    body = f"number={query['number'][0]} served_us={served}\n".encode()
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

/// What runs in each handler.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// PHP, asked over FastCGI as php-fpm is: one process a handler
    PhpCgi,
    /// A master and its only worker, of class `sync`, in each handler
    Gunicorn,
}

pub(crate) struct ProgramSite {
    target: Target,
    journal: Journal,
    daemon: Daemon,
}

impl Program {
    pub(crate) fn missing(self, install: bool) -> Option<String> {
        let ours = executable::bellwether().err().map(|error| error.to_string());
        ours.or_else(|| match self {
            Self::PhpCgi => PHP_CGI.missing(install),
            Self::Gunicorn => python::missing(install),
        })
    }

    /// Writes what it runs, and returns how it is asked and its command.
    fn prepare(self, folder: &Path, address: SocketAddrV4) -> Result<(Wire, Vec<String>)> {
        let path = |name| folder.join(name).to_string_lossy().into_owned();
        match self {
            Self::PhpCgi => {
                let script = path("work.php");
                fs::write(&script, SCRIPT)?;
                let program = find(PHP_CGI.program).context("php-cgi has gone")?;
                // -n: without the machine's php.ini.
                let command = vec![program.to_string_lossy().into_owned(), "-n".into()];
                Ok((Wire::FastCgi(script), command))
            }
            Self::Gunicorn => {
                fs::write(path("work.py"), APPLICATION)?;
                let program = python::program("gunicorn")?;
                let (address, folder) = (address.to_string(), path(""));
                let command = [&*program, "-b", &address, "--chdir", &folder, "work:app"];
                Ok((Wire::Http, command.map(str::to_owned).into()))
            }
        }
    }
}

impl ProgramSite {
    /// From one handler to `max`, by the default rule.
    pub(crate) fn start(program: Program, max: usize) -> Result<Self> {
        let (folder, address) = (folder()?, free_address()?);
        let (wire, command) = program.prepare(folder.path(), address)?;
        let bellwether = executable::bellwether()?.to_string_lossy().into_owned();
        let (listen, handlers) = (format!("{address}?backlog=4096"), format!("1..{max}"));
        let ours = [&bellwether, "run", "--listen", &listen, "--handlers", &handlers];
        let own = ["--name", NAME, "--"];
        let command = ours.into_iter().chain(own).chain(command.iter().map(String::as_str));
        let mut daemon = Daemon::start(&command.collect::<Vec<_>>(), folder)?;
        let target = Target { address, wire };
        daemon.wait_until_it_serves(&target)?;
        let control = daemon.folder().join(NAME).join("control.sock");
        Ok(Self { target, journal: Journal::follow(&control)?, daemon })
    }
}

impl Site for ProgramSite {
    fn target(&self) -> &Target {
        &self.target
    }

    fn root(&self) -> u32 {
        self.daemon.master()
    }

    /// The template; each of the others keeps one program.
    fn others(&self) -> usize {
        1
    }

    fn finish(self: Box<Self>) -> Result<Option<Entries>> {
        let Self { journal, daemon, .. } = *self;
        drop(daemon);
        journal.finish().map(Some)
    }
}
