//! bellwether

mod address;
pub mod balance;
mod buffer;
mod error;
mod handler;
#[cfg(feature = "http")]
pub mod http;
mod notification;
pub mod remote;
mod scoreboard;
mod server;
mod spawner;
mod sys;
pub use address::{Address, Defer, Listener, Options};
pub use buffer::Buffer;
pub use error::{BoxError, Error, Result};
pub use handler::{Connection, Handler, Seat};
#[cfg(feature = "tokio")]
pub use handler::{Shift, Stream};
pub use notification::Notification;
pub use server::{Builder, Server};
pub use spawner::{Stopped, status};
