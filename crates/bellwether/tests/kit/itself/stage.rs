//! Stand-ins for servers: shell scripts, and a control socket that the test itself answers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::kit::{Launch, PATIENCE, Pid, Run, eventually};

/// Starts a script that says `ready` when it is, and waits for that.
#[track_caller]
pub(crate) fn script(text: &str) -> Run {
    let run = Launch::of("/bin/sh").args(["-c", text]).start();
    eventually(PATIENCE, "the script to say ready", || {
        run.stdout().contains("ready").then_some(())
    });
    run
}

/// What a check complains about.
#[track_caller]
pub(crate) fn complaint<T>(check: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).err().expect("a complaint");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).expect("a message")
}

/// A status with these handlers, all of them in this state.
pub(crate) fn status(pids: &[Pid], state: &str) -> Value {
    let handlers: Vec<Value> = pids.iter().map(|pid| json!({"pid": pid, "state": state})).collect();
    let addresses = [json!({"address": "tcp://127.0.0.1:41234"})];
    json!({"pools": [{"handlers": handlers, "addresses": addresses}]})
}

/// A control socket under a run's runtime directory, until it is dropped.
pub(crate) struct FakeControl {
    folder: PathBuf,
    done: Arc<AtomicBool>,
}

impl FakeControl {
    pub(crate) fn of(run: &Run, status: impl Fn() -> Value + Send + 'static) -> Self {
        let folder = run.runtime().join("fake");
        fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(folder.join("control.sock")).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept()
                && !flag.load(Ordering::Relaxed)
            {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                assert_eq!(line, "{\"verb\":\"status\"}\n");
                writeln!(stream, "{}", status()).unwrap();
            }
        });
        Self { folder, done }
    }
}

impl Drop for FakeControl {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        std::os::unix::net::UnixStream::connect(self.folder.join("control.sock")).ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}
