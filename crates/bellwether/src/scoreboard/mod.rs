//! Shared memory between spawner and handlers, made so that a handler cannot steer the spawner.
//!
//! Three kinds of page, each with one kind of writer:
//! the [`control`] page (the spawner writes; the kernel refuses handlers),
//! one [`telemetry`] page a handler (that handler writes; absent in its siblings; the spawner
//! reads, clamps, and does with it no more than weigh a rate, end that very handler or wait for it),
//! and the [`bell`] page (all write; only ever a hint).
//! Pids, slots, states and deadlines are not here at all: they live in the spawner's own heap
//! (`spawner::slot`). There are no locks, pointers, lengths or offsets in shared memory.

pub(crate) mod bell;
pub(crate) mod control;
pub(crate) mod histogram;
pub(crate) mod mark;
mod said;
mod snapshot;
pub(crate) mod telemetry;
