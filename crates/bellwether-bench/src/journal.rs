//! What our server writes in its journal while it is measured.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

/// The journal's entries, collected until they are asked for.
#[derive(Debug)]
pub(crate) struct Journal {
    control: UnixStream,
    collecting: JoinHandle<Vec<Value>>,
}

impl Journal {
    /// Listens to the server behind a control socket.
    pub(crate) fn follow(path: &Path) -> Result<Self> {
        let mut control = UnixStream::connect(path).context("cannot follow the journal")?;
        writeln!(control, "{}", json!({ "verb": "events", "follow": true }))?;
        let lines = BufReader::new(control.try_clone()?).lines();
        let collecting = thread::spawn(move || {
            let entry = |line: String| serde_json::from_str(&line).ok();
            lines.map_while(Result::ok).filter_map(entry).collect()
        });
        Ok(Self { control, collecting })
    }

    pub(crate) fn finish(self) -> Result<Entries> {
        // A server that has gone has shut it already.
        self.control.shutdown(Shutdown::Both).ok();
        self.collecting.join().map(Entries).map_err(|_| anyhow!("the journal's reader panicked"))
    }
}

#[derive(Debug)]
pub(crate) struct Entries(Vec<Value>);

impl Entries {
    /// All numbers that entries give by this name.
    pub(crate) fn inputs(&self, name: &str) -> Vec<f64> {
        self.0.iter().filter_map(|entry| entry["inputs"][name].as_f64()).collect()
    }
}
