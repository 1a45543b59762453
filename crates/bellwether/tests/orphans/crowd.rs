//! Clients that ask without pause until they are told that it is enough.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::clients::Door;
use crate::kit::Pid;

/// Some clients at work, each request on a connection of its own.
#[derive(Debug)]
pub(crate) struct Crowd {
    enough: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Asked>>,
}

/// What clients have seen: each of their requests was answered, or they would have panicked.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) requests: usize,
    /// Who answered.
    pub(crate) by: BTreeSet<Pid>,
}

impl Crowd {
    /// Lets so many clients begin.
    pub(crate) fn at(door: &Door, clients: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let client = || {
            let (door, enough) = (door.clone(), Arc::clone(&enough));
            std::thread::spawn(move || ask_until(&door, &enough))
        };
        let clients = std::iter::repeat_with(client).take(clients).collect();
        Self { enough, clients }
    }

    /// Ends the load; panics when a request was refused, reset or answered wrongly.
    #[track_caller]
    pub(crate) fn disperse(self) -> Asked {
        self.enough.store(true, Ordering::Relaxed);
        let mut all = Asked::default();
        for client in self.clients {
            let asked = client.join().expect("every request is answered");
            all.requests += asked.requests;
            all.by.extend(asked.by);
        }
        all
    }
}

fn ask_until(door: &Door, enough: &AtomicBool) -> Asked {
    let mut asked = Asked::default();
    while !enough.load(Ordering::Relaxed) {
        asked.by.insert(door.ask("pid").parse().expect("a process"));
        asked.requests += 1;
    }
    asked
}
