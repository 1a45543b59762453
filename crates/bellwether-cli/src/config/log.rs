//! The settings of the log, as flags and for who starts it.

use std::path::PathBuf;

use bellwether::Result;
use clap::Args;

use super::Config;
use super::written::Written;
use crate::log::{Format, start_server};
use crate::serve::CONTROL;

/// Where the server's own lines go, and in which form.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogFlags {
    /// In which form the server logs: auto, pretty, json or journald [default: auto].
    ///
    /// pretty: for people. json: an object a line, of at most 4096 bytes. journald: entries of the
    /// journal of systemd, with their fields. auto: pretty on a terminal, journald where standard
    /// error is the journal, else json.
    #[arg(long = "log-format", value_name = "FORMAT", help_heading = CONTROL)]
    pub(crate) format: Option<Written<Format>>,

    /// The file to which the server logs, in place of standard error.
    ///
    /// When it has been moved, the next line makes it anew; SIGUSR1 to the spawner writes one at
    /// once.
    #[arg(long = "log-file", value_name = "FILE", help_heading = CONTROL)]
    pub(crate) file: Option<PathBuf>,
}

impl Config {
    /// Starts the log as the file says.
    pub(crate) fn start_log(&self) -> Result<()> {
        start_server(self.log_format.map(|it| it.0), self.log_file.as_deref())
    }
}
