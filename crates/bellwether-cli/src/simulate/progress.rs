//! How far a long computation is, on standard error, for people who watch.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that appears where somebody can see it; it is gone when all is done.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    done: u64,
}

/// Into so many parts each run is divided.
const PARTS: u64 = 100;

impl Progress {
    /// Begins to count so many runs.
    pub(crate) fn of(runs: usize) -> Self {
        let bar = ProgressBar::new(runs as u64 * PARTS);
        let form = ProgressStyle::with_template("{percent:>3}% {bar:30} {eta:>4} left  {msg}");
        if let Ok(form) = form {
            bar.set_style(form);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, done: 0 }
    }

    /// The next run begins.
    pub(crate) fn begin(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.set_position(self.done);
        self.done += PARTS;
    }

    /// The run is done by this share, 0 to 1.
    pub(crate) fn part(&self, share: f64) {
        // Between 0 and the parts of a run.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let parts = (share.clamp(0.0, 1.0) * PARTS as f64) as u64;
        self.bar.set_position(self.done - PARTS + parts);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
