//! The thread that writes: of a full disk or a slow pipe it alone hears, and no request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::line::{Format, Line};
use super::target::{LOOK, Target};

/// How many lines may wait for the writer: at the most 16 MiB, commonly 1 MiB.
const QUEUE: usize = 4096;

/// After a look at the queue the writer lets lines gather, so that it is not woken for each.
const GATHER: Duration = Duration::from_millis(5);

/// How often the operator is told of lines that were lost.
const TELL: Duration = Duration::from_secs(60);

/// How long a handler that ends waits for its last lines to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// The log of one process; when it is dropped, what waits is written.
#[derive(Debug)]
pub(crate) struct Log {
    format: Format,
    /// `None` once it ends.
    lines: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    ended: std::sync::Mutex<Receiver<()>>,
}

impl Log {
    /// Starts the thread.
    pub(super) fn begin(target: Target, format: Format) -> io::Result<Self> {
        let (lines, queue) = mpsc::sync_channel(QUEUE);
        let (end, ended) = mpsc::channel();
        let lost = Arc::default();
        let writer = Writer { target, queue, lost: Arc::clone(&lost), failed: 0, why: None };
        thread::Builder::new().name("access log".into()).spawn(move || {
            writer.run();
            let _ = end.send(());
        })?;
        Ok(Self { format, lines: Some(lines), lost, ended: ended.into() })
    }

    /// Hands a line over, or counts it as lost.
    pub(super) fn write(&self, line: &Line) {
        let taken = self.lines.as_ref().map(|it| it.try_send(line.written(self.format)));
        if taken.is_some_and(|taken| taken.is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines = None;
        if let Ok(ended) = self.ended.get_mut() {
            let _ = ended.recv_timeout(FAREWELL);
        }
    }
}

struct Writer {
    target: Target,
    queue: Receiver<String>,
    /// Lines that found no room in the queue.
    lost: Arc<AtomicU64>,
    /// Lines that could not be written.
    failed: u64,
    why: Option<io::Error>,
}

impl Writer {
    fn run(mut self) {
        let begin = Instant::now();
        let (mut looked, mut told) = (begin, None);
        loop {
            let line = match self.next() {
                Ok(line) => Some(line),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.why = self.target.follow().err().or(self.why);
            }
            line.into_iter().for_each(|line| self.add(&line));
            while let Ok(line) = self.queue.try_recv() {
                self.add(&line);
            }
            if told.is_none_or(|told: Instant| told.elapsed() >= TELL) && self.tell() {
                told = Some(Instant::now());
            }
            thread::sleep(GATHER);
        }
        self.tell();
    }

    /// Waits for a line; no longer than until it is time to tell of lost ones, if there are any.
    fn next(&self) -> Result<String, RecvTimeoutError> {
        if self.missing() > 0 || self.why.is_some() {
            return self.queue.recv_timeout(TELL);
        }
        self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    fn add(&mut self, line: &str) {
        if let Err(error) = self.target.add(line.as_bytes()) {
            self.failed += 1;
            self.why = Some(error);
        }
    }

    fn missing(&self) -> u64 {
        self.failed + self.lost.load(Ordering::Relaxed)
    }

    /// Tells of what was lost since the last time, if anything was.
    fn tell(&mut self) -> bool {
        let missing = self.failed + self.lost.swap(0, Ordering::Relaxed);
        let why = self.why.take();
        if missing == 0 && why.is_none() {
            return false;
        }
        self.failed = 0;
        let why = why.map_or_else(|| "more came than could be written".into(), |it| it.to_string());
        tracing::warn!("access log: {missing} lines are missing: {why}");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::line;
    use super::*;

    #[test]
    fn what_waits_is_written_before_the_log_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::begin(Target::file(&path).unwrap(), Format::Combined).unwrap();
        for _ in 0..100 {
            log.write(&line());
        }
        drop(log);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
    }

    #[test]
    fn lines_that_nobody_takes_make_nobody_wait() {
        let (reader, writer) = io::pipe().unwrap();
        let log = Log::begin(Target::pipe(writer), Format::Combined).unwrap();
        // More than the pipe and the queue hold.
        for _ in 0..3 * QUEUE {
            log.write(&line());
        }
        assert!(log.lost.load(Ordering::Relaxed) > 0);
        drop(reader);
    }
}
