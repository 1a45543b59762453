//! `bellwether dev -- CMD`: a program for the developer who writes it, started anew on every save.
//!
//! Developing is opening the addresses once and keeping them: whatever becomes of the program, the
//! kernel's queue holds who connects. For each [`attempt`] to run the program, this process starts
//! itself anew as a server of its own ([`inside`]) that inherits the queue, speaks to us as to a
//! service manager ([`notices`]), and ends before the next one starts. What happens is decided by a
//! [`course`], a pure function of what was seen: by the [`watch`] of the files that count
//! ([`ignoring`]), and by signals. [`act`] does it, [`tell`] says it.

mod act;
mod attempt;
pub(crate) mod command;
mod course;
mod ignoring;
mod inheritance;
mod inside;
mod notices;
mod signals;
mod tell;
mod watch;
