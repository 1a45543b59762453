//! A pre-fork server runtime for Linux: one address, one kernel queue, as many handler processes
//! as the load needs.
//!
//! A *spawner* opens a well-known address and keeps a pool of *handlers*. All handlers wait on
//! one kernel queue and race to accept; one wins each request, the others find "nothing pending"
//! and go on. Nobody dispatches. A handler that panics, faults or is killed costs the requests it
//! had accepted, and no others.
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use bellwether::{Connection, Server};
//!
//! fn main() -> Result<(), bellwether::Error> {
//!     let server = Server::builder().listen("127.0.0.1:7777").handlers(4).open()?;
//!     server.run(|mut connection: Connection| {
//!         let mut request = [0; 1024];
//!         if let Ok(length) = connection.read(&mut request) {
//!             let _ = connection.write_all(&request[..length]);
//!         }
//!     })?;
//!     Ok(())
//! }
//! ```
//!
//! Blocking handlers need nothing else ([`Server::run`]). With the feature `tokio` there are
//! asynchronous ones (`Server::run_async`), with `http` any tower service (`http::serve`), with `tls`
//! that over TLS (`Builder::tls`).
//!
//! The process that calls `run` forks, so it must have one thread at that moment; runtimes,
//! connections to databases and background threads belong into the handlers
//! ([`Handler::start`]), what is large and read-only into [`Server::run_loaded`].
//!
//! Linux 5.4 or newer is needed (pidfd, sealed memory); what is missing is named at start.

mod address;
pub mod balance;
mod buffer;
mod error;
mod handler;
#[cfg(feature = "http")]
pub mod http;
pub mod journal;
mod notification;
mod pool;
mod proc;
mod program;
pub mod remote;
mod scoreboard;
mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
mod spawner;
pub mod status;
mod sys;
#[cfg(feature = "tls")]
mod tls;
pub mod upgrade;

pub use address::{Address, Defer, Listener, Options};
pub use buffer::Buffer;
pub use error::{BoxError, Error, Result};
pub use handler::{Connection, Deadline, Handler, Seat};
#[cfg(feature = "tokio")]
pub use handler::{Shift, Stream};
pub use notification::Notification;
pub use pool::rules::Amount;
pub use program::{Output, Pass, Program, Ready, Resource, Serves};
pub use server::{Builder, Group, Pool, Server};
pub use spawner::Stopped;
pub use spawner::access::{Peer, Role};
pub use spawner::command::{Answer, Scale, Why};
#[cfg(feature = "tls")]
pub use tls::Tls;
