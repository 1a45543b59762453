//! What an event says, before it is a line.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::output::say;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Content)>,
}

/// What stands in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    /// A number or a truth value, as JSON has it.
    Plain(String),
}

impl Record {
    /// Something that happens now.
    pub(super) fn now(level: Level, message: String) -> Self {
        Self { time: now(), level, message, fields: Vec::new() }
    }

    /// The same with a field.
    pub(super) fn with(mut self, name: &'static str, content: Content) -> Self {
        self.fields.push((name, content));
        self
    }

    /// How important it is, as syslog(3) counts.
    pub(super) const fn priority(&self) -> u8 {
        match self.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Text(text) | Self::Plain(text)) = self;
        f.write_str(text)
    }
}

#[expect(clippy::disallowed_methods, reason = "people and their tools read when it was")]
fn now() -> SystemTime {
    SystemTime::now().max(SystemTime::UNIX_EPOCH)
}

/// Makes a record of each event and has it written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut record = Record::now(*event.metadata().level(), String::new());
        event.record(&mut record);
        say(&record);
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.push((field.name(), Content::Text(value.into())));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_str(field, &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        let content = if value.is_finite() { Content::Plain(text) } else { Content::Text(text) };
        self.fields.push((field.name(), content));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Content::Plain(value.to_string())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), Content::Plain(value.to_string())));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.fields.push((field.name(), Content::Plain(value.to_string())));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.fields.push((field.name(), Content::Plain(value.to_string())));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), Content::Plain(value.to_string())));
    }
}
