//! The test kit: real processes, looked at from outside.
//!
//! A test prepares a [`Launch`], starts it into a [`Run`], talks to it, and ends with [`Run::stop`],
//! which asserts the same invariants every time ([`quiescent`]). Under load the client keeps a
//! [`Ledger`], the handlers a [`record`]; [`Verdict::join`] lays one beside the other, so that lost,
//! doubled and failed requests are counted instead of guessed. Nothing here knows the library:
//! whatever the kit says about a server, it learned from the kernel, the control socket or the wire.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of the kit")]
#![allow(unreachable_pub, reason = "included as a private module: `pub` means public in the kit")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

pub mod cgroup;
pub mod control;
pub mod family;
pub mod hold;
pub mod killer;
pub mod launch;
pub mod ledger;
pub mod live;
pub mod load;
pub mod logs;
pub mod processes;
pub mod quiescent;
pub mod record;
pub mod run;
pub mod sampler;
pub mod systemd;
pub mod usage;
pub mod verdict;
pub mod wait;
pub mod zombies;

pub use control::{Control, Pending};
pub use hold::Hold;
pub use killer::{Chance, Kill, Killer};
pub use launch::{Launch, example};
pub use ledger::{Entry, Ledger, Outcome};
pub use live::LiveSeries;
pub use load::{Load, Until, load};
pub use processes::{Pid, Process};
pub use quiescent::{Baseline, assert_conserved, assert_descriptors, assert_quiescent};
pub use record::{Record, RecordFile};
pub use run::{Run, Signal};
pub use systemd::Machine;
pub use verdict::Verdict;
pub use wait::{PATIENCE, eventually, within};
pub use zombies::ZombieWatch;
