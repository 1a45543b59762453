//! Threads that wait for what a server says, so that the screen never does.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use bellwether::remote::{self, Pending};
use bellwether::{Error, Scale};

use super::model::Seen;

/// What a server is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    Reload,
    Drain { pool: String },
    Scale { pool: String, to: Scale },
}

/// Where what is seen comes from.
pub(super) struct Source {
    name: String,
    sender: Sender<Seen>,
    arriving: Receiver<Seen>,
}

impl Source {
    /// Looks at a server so often, and hears what happens in it.
    pub(super) fn of(name: String, interval: Duration) -> Self {
        let (sender, arriving) = channel();
        let (looks, hears) = (sender.clone(), sender.clone());
        let (server, same) = (name.clone(), name.clone());
        // They end with the program.
        thread::spawn(move || look(&server, interval, &looks));
        thread::spawn(move || hear(&same, interval, &hears));
        Self { name, sender, arriving }
    }

    /// What has arrived, without waiting.
    pub(super) fn arrived(&self) -> Vec<Seen> {
        self.arriving.try_iter().collect()
    }

    /// Tells the server; what comes of it arrives as all else.
    pub(super) fn order(&self, order: Order) {
        let (name, sender) = (self.name.clone(), self.sender.clone());
        thread::spawn(move || {
            let words = match begin(&name, order).and_then(Pending::wait) {
                Ok(done) => done.to_string(),
                Err(error) => error.to_string(),
            };
            sender.send(Seen::Answered(words))
        });
    }
}

fn begin(name: &str, order: Order) -> Result<Pending, Error> {
    match order {
        Order::Reload => remote::reload(Some(name)),
        Order::Drain { pool } => remote::drain(Some(name), Some(&pool)),
        Order::Scale { pool, to } => remote::scale(Some(name), Some(&pool), to),
    }
}

/// Ends when nobody wants to see any more.
fn look(name: &str, interval: Duration, to: &Sender<Seen>) {
    loop {
        thread::sleep(interval);
        let seen = match remote::status(Some(name)) {
            Ok(status) => Seen::Status(Box::new(status)),
            Err(error) => Seen::Lost(error.to_string()),
        };
        if to.send(seen).is_err() {
            return;
        }
    }
}

fn hear(name: &str, interval: Duration, to: &Sender<Seen>) {
    loop {
        for entry in remote::events(Some(name), true).into_iter().flatten().map_while(Result::ok) {
            if to.send(Seen::Told(Box::new(entry))).is_err() {
                return;
            }
        }
        // It is gone, and may come back.
        thread::sleep(interval);
    }
}
