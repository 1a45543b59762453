//! A running server of any make: whom to ask, and whose children its handlers are.
//!
//! `ours` is bellwether, `program` its `run` with a program of others, `apache` the prefork MPM of Apache httpd, `fpm` PHP's FastCGI process
//! manager. The rivals run from a temporary folder (`daemon`), on loopback, with nothing of the
//! machine's own configuration; `packages` finds and installs them.

mod apache;
pub(crate) mod daemon;
mod fpm;
mod ours;
pub(crate) mod packages;
mod program;

pub(crate) use apache::Apache;
pub(crate) use fpm::{Fpm, Manager};
pub(crate) use ours::OurSite;
pub(crate) use program::{Program, ProgramSite};

use anyhow::Result;

use crate::journal::Entries;
use crate::open_loop::Target;

/// How many processes stand by in a classic server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spares {
    pub(crate) start: usize,
    pub(crate) min: usize,
    pub(crate) max: usize,
    /// The most processes there may be.
    pub(crate) limit: usize,
}

/// A running server; dropping it ends it.
pub(crate) trait Site {
    fn target(&self) -> &Target;

    /// The process whose children the handlers are.
    fn root(&self) -> u32;

    /// How many of its children are no handlers.
    fn others(&self) -> usize {
        0
    }

    /// Ends the server; what its journal said, if it keeps one.
    fn finish(self: Box<Self>) -> Result<Option<Entries>> {
        Ok(None)
    }
}
