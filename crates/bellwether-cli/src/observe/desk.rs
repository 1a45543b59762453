//! What is known of the server: its last answer, if that is fresh, else a new one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether::remote;
use bellwether::status::Status;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// For how long an answer is as good as a new one: whatever asks us, the server is asked four times a
/// second at most.
const FRESH: Duration = Duration::from_millis(250);

/// How long whoever asks us waits for the server.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer of the server, or why there is none.
pub(super) type Told = Arc<Result<Status, String>>;

/// Asks one server.
pub(super) struct Desk {
    name: Option<String>,
    last: Arc<Mutex<Option<(Instant, Told)>>>,
}

impl Desk {
    pub(super) fn of(name: Option<String>) -> Self {
        Self { name, last: Arc::default() }
    }

    /// What the server says; all who ask at once hear the same.
    pub(super) async fn ask(&self) -> Told {
        let (name, last) = (self.name.clone(), Arc::clone(&self.last));
        // It goes on where nobody waits for it any more, and the next one finds what it heard.
        let asking = tokio::spawn(async move {
            let mut last = last.lock().await;
            if let Some((at, told)) = &*last
                && at.elapsed() < FRESH
            {
                return Arc::clone(told);
            }
            let asked = tokio::task::spawn_blocking(move || remote::status(name.as_deref()));
            let told = match asked.await {
                Ok(Ok(status)) => Ok(status),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("asking the server panicked".into()),
            };
            let told = Arc::new(told);
            *last = Some((Instant::now(), Arc::clone(&told)));
            told
        });
        match timeout(PATIENCE, asking).await {
            Ok(Ok(told)) => told,
            _ => Arc::new(Err(format!(
                "the server has not answered within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }
}
