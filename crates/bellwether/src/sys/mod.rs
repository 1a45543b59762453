//! The kernel, typed: the only folder with `unsafe` in it.
//!
//! House rules: one unsafe operation a block; each SAFETY comment names the invariant that makes
//! it sound; nothing here knows a word of the domain (no handler, no address, no spawner).
//! What `rustix` offers safely is used directly by the rest of the crate; here stands the
//! remainder: `fork`, signals, shared memory, and the socket options that `rustix` lacks.
#![allow(unsafe_code)]

pub(crate) mod clock;
pub(crate) mod descriptors;
pub(crate) mod exec;
pub(crate) mod inet_diag;
pub(crate) mod memory;
pub(crate) mod parent;
pub(crate) mod peer;
pub(crate) mod poller;
pub(crate) mod process;
#[cfg(feature = "tokio")]
pub(crate) mod runtime_poller;
pub(crate) mod seccomp;
pub(crate) mod secret;
pub(crate) mod signal;
pub(crate) mod sock_diag;
pub(crate) mod socket;
pub(crate) mod title;
pub(crate) mod unix_diag;
pub(crate) mod watch;
