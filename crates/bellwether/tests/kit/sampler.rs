//! A look repeated on a thread of its own while the test goes on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::wait::pulse;

/// A thread that samples until it is finished or dropped.
#[derive(Debug)]
pub struct Sampler<T> {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<(Instant, T)>>>,
}

impl<T: Send + 'static> Sampler<T> {
    /// Looks once a period; a look that sees nothing (`None`) leaves no sample.
    pub fn start(period: Duration, look: impl FnMut() -> Option<T> + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        let thread = Some(thread::spawn(move || sample(period, look, &flag)));
        Self { done, thread }
    }

    /// Ends the sampling; the samples in the order of time.
    pub fn finish(mut self) -> Vec<(Instant, T)> {
        self.done.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("taken only here");
        thread.join().expect("the sampling thread panicked")
    }
}

impl<T> Drop for Sampler<T> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

fn sample<T>(
    period: Duration,
    mut look: impl FnMut() -> Option<T>,
    done: &AtomicBool,
) -> Vec<(Instant, T)> {
    let mut samples = Vec::new();
    pulse(period, || {
        samples.extend(look().map(|seen| (Instant::now(), seen)));
        match done.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    samples
}
