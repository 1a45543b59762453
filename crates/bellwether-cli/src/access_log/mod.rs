//! A line for every request, written by the handlers, that makes nobody wait.
//!
//! [`AccessLog`] is what was chosen. Each handler process has one [`writer`] thread of its own, begun
//! after the fork; its [`Log`] takes lines from all threads of the handler, into a bounded queue.
//! [`Note`] is a request under way: it becomes a [`line`] when the last byte of its answer has been
//! handed over, or when it is given up. [`target`] is where lines go.

mod line;
mod noted;
mod target;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bellwether::{Error, Result};

pub(crate) use line::Format;
pub(crate) use noted::{Note, Noted};
use target::Target;
pub(crate) use writer::Log;

use crate::config::settings::{PoolSettings, is_output};

/// Where the requests of a pool are written down, and how.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    place: Place,
    format: Format,
    /// That of this process, while a thread of it writes.
    current: Arc<Mutex<Weak<Log>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Output,
    File(PathBuf),
}

impl AccessLog {
    /// The log that these settings ask for.
    pub(crate) fn of(pool: &PoolSettings) -> Option<Self> {
        let path = pool.access_log.as_deref()?;
        let place = if is_output(path) { Place::Output } else { Place::File(path.into()) };
        let format = pool.access_log_format.map(|it| it.0).unwrap_or_default();
        Some(Self { place, format, current: Arc::default() })
    }

    /// Tells the operator at once if the log cannot be written.
    ///
    /// # Errors
    /// The file cannot be made or opened.
    pub(crate) fn try_out(&self) -> Result<()> {
        self.target().map(drop)
    }

    /// The log of this process, opened by the first who asks.
    ///
    /// # Errors
    /// The file cannot be made or opened, or no thread can be had.
    pub(crate) fn open(&self) -> Result<Arc<Log>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = current.upgrade() {
            return Ok(log);
        }
        let log = Arc::new(Log::begin(self.target()?, self.format).map_err(|it| self.wrong(&it))?);
        *current = Arc::downgrade(&log);
        Ok(log)
    }

    fn target(&self) -> Result<Target> {
        let opened = match &self.place {
            Place::Output => Target::output(),
            Place::File(path) => Target::file(path),
        };
        opened.map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &std::io::Error) -> Error {
        let what = match &self.place {
            Place::Output => "access log on standard output".into(),
            Place::File(path) => format!("access log {}", path.display()),
        };
        let problem = format!("{error}; give a file in a folder that this user may write to, or -");
        Error::Configure { what, problem }
    }
}
