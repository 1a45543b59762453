//! What a reader must know about the machine before believing a number.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::condition::Condition;

#[derive(Debug)]
pub(crate) struct Machine {
    command: String,
    date: String,
    kernel: String,
    processors: String,
    /// The load average before the first measurement: neighbours spoil ratios.
    load: String,
    condition: &'static str,
}

impl Machine {
    pub(crate) fn look(condition: Condition) -> Self {
        Self {
            command: command(),
            date: date(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            processors: processors(),
            load: first_line("/proc/loadavg").split(' ').take(1).collect(),
            condition: condition.describe(),
        }
    }

    /// The heading of a report, as a Markdown list.
    pub(crate) fn heading(&self) -> String {
        let Self { command, date, kernel, processors, load, condition } = self;
        format!(
            "* command: `{command}`\n* date: {date}\n* machine: {processors}, Linux {kernel}, \
             load average before the run {load}\n* condition: {condition}\n"
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "command": self.command, "date": self.date, "kernel": self.kernel,
            "processors": self.processors, "load": self.load, "condition": self.condition,
        })
    }
}

/// The command a reader types to see the same, whatever the path of this executable.
fn command() -> String {
    let profile = if cfg!(debug_assertions) { "" } else { "--release " };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo run {profile}-p bellwether-bench -- {}", arguments.join(" "))
}

fn date() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    output.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().into(),
    )
}

/// Counted from /proc: the standard library would count only those this process is pinned to.
fn processors() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = text.lines().filter(|line| line.starts_with("processor")).count();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim());
    format!("{count} × {model}")
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").into()
}
