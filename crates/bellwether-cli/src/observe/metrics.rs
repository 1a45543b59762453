//! What Prometheus is told: sums and states of pools, nothing that a handler wrote.
//!
//! How many series there are depends on the configuration alone (pools, addresses) and on lists that
//! are bounded (states, causes of an end): not on clients, labels or time.

use std::fmt::Write;

use bellwether::status::{PoolStatus, ServiceTimes, Status, Waits};

/// The states of a handler.
const STATES: [&str; 6] = ["starting", "idle", "busy", "leaving", "ending", "killed"];

/// The states of a pool.
const PHASES: [&str; 4] = ["serving", "announcing", "stopping", "drained"];

/// Service times are told by bounds of 2^k microseconds: from 64 µs to 67 s.
const SERVICE: std::ops::RangeInclusive<u32> = 6..=26;

/// In which words Prometheus is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    Open,
    /// The text format of Prometheus, 0.0.4.
    Text,
}

impl Format {
    /// What is told to whoever accepts this (RFC 9110, 12.5.1).
    pub(super) fn wanted(accepted: &str) -> Self {
        let open =
            accepted.split(',').any(|it| it.trim().starts_with("application/openmetrics-text"));
        if open { Self::Open } else { Self::Text }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Everything, as text.
pub(super) fn text(told: Result<&Status, &String>, format: Format) -> String {
    let mut sheet = Sheet { text: String::new(), format };
    let up = u8::from(told.is_ok());
    sheet.family("up", Kind::Gauge, "Whether the server answers.");
    sheet.line("up", "", &[], f64::from(up));
    if let Ok(status) = told {
        server(&mut sheet, status);
        pools(&mut sheet, &status.pools);
    }
    if format == Format::Open {
        sheet.text.push_str("# EOF\n");
    }
    sheet.text
}

fn server(sheet: &mut Sheet, status: &Status) {
    sheet.family("build_info", Kind::Gauge, "The version that runs; always 1.");
    sheet.line("build_info", "", &[("version", &status.version), ("server", &status.name)], 1.0);
    sheet.family("uptime_seconds", Kind::Gauge, "Since the server started, over upgrades.");
    sheet.line("uptime_seconds", "", &[], status.uptime_s);
    sheet.family("upgrades", Kind::Counter, "How often the spawner's program was replaced.");
    sheet.line("upgrades", "_total", &[], status.upgrades as f64);
    sheet.family("changing", Kind::Gauge, "Whether a reload or an upgrade goes on.");
    sheet.line("changing", "", &[], f64::from(u8::from(status.change.is_some())));
}

/// A number of a pool.
type Of = fn(&PoolStatus) -> f64;

const GAUGES: &[(&str, &str, Of)] = &[
    ("generation", "The current generation of handlers.", |it| it.generation as f64),
    ("handlers_min", "The fewest handlers that there may be.", |it| it.min as f64),
    ("handlers_max", "The most handlers that there may be.", |it| it.max as f64),
    ("handlers_wanted", "Handlers wanted now.", |it| it.want as f64),
    ("handlers_alive", "Handlers that exist.", |it| it.totals.alive as f64),
    ("handlers_limited", "Whether a limit keeps the number from being higher.", |it| {
        f64::from(u8::from(it.limited_by.is_some()))
    }),
    (
        "demand_handlers",
        "Handlers that are busy, and those whom what waits would keep busy.",
        demand,
    ),
    ("capacity_handlers", "Handlers that there can be at most.", |it| it.max as f64),
    ("saturation_ratio", "Demand as a share of the capacity; may exceed 1.", |it| {
        demand(it) / (it.max as f64).max(1.0)
    }),
    ("connections_in_flight", "Connections accepted and not yet ended.", |it| {
        it.totals.in_flight as f64
    }),
    ("memory_bytes", "Memory of the handlers that could be looked at (PSS).", |it| {
        it.handlers.iter().filter_map(|it| it.memory).sum::<u64>() as f64
    }),
];

const COUNTERS: &[(&str, &str, Of)] = &[
    ("connections_accepted", "Connections won.", |it| it.totals.accepted as f64),
    ("connections_completed", "Connections served to their end.", |it| it.totals.completed as f64),
    ("connections_aborted", "Connections that ended with a panic or with their handler.", |it| {
        it.totals.aborted as f64
    }),
    ("requests", "Requests served.", |it| it.totals.requests as f64),
    ("wakeups", "Wake-ups for a request.", |it| it.totals.wakeups as f64),
    ("races_lost", "Wake-ups at which another was first.", |it| it.totals.losses as f64),
    ("connections_late", "Connections that had waited for longer than 50 ms.", |it| {
        it.totals.late as f64
    }),
    ("connections_shed", "Late connections that were sent away.", |it| it.totals.shed as f64),
    ("handlers_spawned", "Handlers made.", |it| it.totals.spawned as f64),
    ("handlers_exited", "Handlers that have ended.", |it| it.totals.exited as f64),
    ("handlers_crashed", "Handlers that ended though nobody wanted them to.", |it| {
        it.totals.crashed as f64
    }),
];

fn pools(sheet: &mut Sheet, pools: &[PoolStatus]) {
    for (kind, suffix, families) in [(Kind::Gauge, "", GAUGES), (Kind::Counter, "_total", COUNTERS)]
    {
        for (name, help, value) in families {
            sheet.family(name, kind, help);
            for pool in pools {
                sheet.line(name, suffix, &[("pool", &pool.name)], value(pool));
            }
        }
    }
    states(sheet, pools);
    buffers(sheet, pools);
    sheet.family("handlers_ended", Kind::Counter, "Handlers that have ended, by what ended them.");
    for pool in pools {
        for (cause, number) in &pool.ended {
            let labels = [("pool", pool.name.as_str()), ("cause", cause.as_str())];
            sheet.line("handlers_ended", "_total", &labels, *number as f64);
        }
    }
    sheet.family(
        "buffer_wait_seconds",
        Kind::Histogram,
        "How long accepted connections had waited.",
    );
    pools.iter().for_each(|pool| waits(sheet, &pool.name, &pool.waits));
    sheet.family("service_seconds", Kind::Histogram, "How long requests were served.");
    pools.iter().for_each(|pool| service(sheet, &pool.name, &pool.service));
}

fn states(sheet: &mut Sheet, pools: &[PoolStatus]) {
    sheet.family("handlers", Kind::Gauge, "Handlers, by what they do.");
    for pool in pools {
        for state in STATES {
            let here = pool.handlers.iter().filter(|it| it.state == state).count();
            let labels = [("pool", pool.name.as_str()), ("state", state)];
            sheet.line("handlers", "", &labels, here as f64);
        }
    }
    sheet.family("pool_state", Kind::Gauge, "What the pool does on the whole: 1 for that.");
    for pool in pools {
        for state in PHASES {
            let labels = [("pool", pool.name.as_str()), ("state", state)];
            sheet.line("pool_state", "", &labels, f64::from(u8::from(pool.state == state)));
        }
    }
}

fn buffers(sheet: &mut Sheet, pools: &[PoolStatus]) {
    let each = |sheet: &mut Sheet,
                name,
                suffix,
                value: fn(&bellwether::status::AddressStatus) -> Option<f64>| {
        for pool in pools {
            for address in &pool.addresses {
                let labels = [("pool", pool.name.as_str()), ("address", address.address.as_str())];
                if let Some(value) = value(address) {
                    sheet.line(name, suffix, &labels, value);
                }
            }
        }
    };
    sheet.family("buffer_connections", Kind::Gauge, "Connections that wait to be accepted.");
    each(sheet, "buffer_connections", "", |it| Some(f64::from(it.depth)));
    sheet.family("buffer_limit", Kind::Gauge, "How many connections may wait.");
    each(sheet, "buffer_limit", "", |it| Some(f64::from(it.limit)));
    sheet.family(
        "buffer_overflows",
        Kind::Counter,
        "Connections that the kernel dropped, for want of room.",
    );
    each(sheet, "buffer_overflows", "_total", |it| it.overflows.map(|number| number as f64));
}

/// Busy handlers and what waits, as many handlers as that is.
fn demand(pool: &PoolStatus) -> f64 {
    let busy = pool.handlers.iter().filter(|it| it.state == "busy").count() as f64;
    let waiting: u64 = pool.addresses.iter().map(|it| u64::from(it.depth)).sum();
    busy + waiting as f64 / pool.threads.max(1) as f64
}

/// Waits are told in classes of powers of two milliseconds; the last has no bound.
fn waits(sheet: &mut Sheet, pool: &str, waits: &Waits) {
    let mut sum = 0;
    for (k, count) in waits.counts.iter().enumerate() {
        sum += count;
        if k + 1 < waits.counts.len() {
            let bound = 2_f64.powi(i32::try_from(k).unwrap_or(i32::MAX)) / 1000.0;
            sheet.bucket("buffer_wait_seconds", pool, &bound.to_string(), sum);
        }
    }
    sheet.bucket("buffer_wait_seconds", pool, "+Inf", sum);
    sheet.line("buffer_wait_seconds", "_count", &[("pool", pool)], sum as f64);
    if sheet.format == Format::Text {
        // Prometheus' own format wants a sum, and nobody knows it: no number.
        sheet.line("buffer_wait_seconds", "_sum", &[("pool", pool)], f64::NAN);
    }
}

fn service(sheet: &mut Sheet, pool: &str, times: &ServiceTimes) {
    for k in SERVICE {
        let bound = 1_u64 << k;
        let below = times.classes.iter().filter(|class| class.below_us <= bound);
        let count = below.fold(0_u64, |sum, class| sum.saturating_add(class.count));
        sheet.bucket("service_seconds", pool, &(bound as f64 / 1e6).to_string(), count);
    }
    sheet.bucket("service_seconds", pool, "+Inf", times.count());
    sheet.line("service_seconds", "_count", &[("pool", pool)], times.count() as f64);
    sheet.line("service_seconds", "_sum", &[("pool", pool)], times.total_us as f64 / 1e6);
}

/// A text that grows.
struct Sheet {
    text: String,
    format: Format,
}

impl Sheet {
    /// Begins a metric.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let total =
            if kind == Kind::Counter && self.format == Format::Text { "_total" } else { "" };
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# HELP bellwether_{name}{total} {help}");
        let _ = writeln!(self.text, "# TYPE bellwether_{name}{total} {word}");
    }

    fn bucket(&mut self, name: &str, pool: &str, bound: &str, count: u64) {
        self.line(name, "_bucket", &[("pool", pool), ("le", bound)], count as f64);
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<_> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            some => format!("{{{}}}", some.join(",")),
        };
        let _ = writeln!(self.text, "bellwether_{name}{suffix}{labels} {value}");
    }
}

/// A value as it stands between quotes (OpenMetrics 1.0, escaped-string).
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn status() -> Status {
        let mut pool = to_value(PoolStatus::default()).unwrap();
        pool["name"] = json!("we\"b\\\n");
        pool["threads"] = json!(2);
        pool["max"] = json!(4);
        pool["addresses"] =
            json!([{"address": "tcp://[::]:80", "depth": 3, "limit": 128, "overflows": 7}]);
        pool["waits"] = json!({"counts": [5, 1, 0, 2]});
        pool["service"] = json!({"total_us": 1_500_000, "classes": [
            {"below_us": 64, "count": 3}, {"below_us": 80, "count": 2},
            {"below_us": 100_000_000, "count": 1}]});
        pool["ended"] = json!({"signal SIGSEGV": 2});
        let mut handler = to_value(bellwether::status::HandlerStatus::default()).unwrap();
        handler["state"] = json!("busy");
        handler["says"] = json!("<script>");
        pool["handlers"] = json!([handler]);
        let mut status = to_value(Status::default()).unwrap();
        status["pools"] = json!([pool]);
        serde_json::from_value(status).unwrap()
    }

    #[track_caller]
    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|it| it == line), "no {line} in:\n{text}");
    }

    #[test]
    fn what_is_told_is_what_the_status_says() {
        let text = text(Ok(&status()), Format::Open);
        let pool = r#"pool="we\"b\\\n""#;
        has(&text, "bellwether_up 1");
        has(&text, &format!("bellwether_demand_handlers{{{pool}}} 2.5"));
        has(&text, &format!("bellwether_saturation_ratio{{{pool}}} 0.625"));
        has(&text, &format!("bellwether_handlers{{{pool},state=\"busy\"}} 1"));
        has(
            &text,
            &format!("bellwether_buffer_overflows_total{{{pool},address=\"tcp://[::]:80\"}} 7"),
        );
        has(
            &text,
            &format!("bellwether_handlers_ended_total{{{pool},cause=\"signal SIGSEGV\"}} 2"),
        );
        has(&text, "# TYPE bellwether_requests counter");
        assert!(text.ends_with("# EOF\n") && !text.contains("script"), "{text}");
    }

    #[test]
    fn the_buckets_of_a_histogram_only_grow() {
        let text = text(Ok(&status()), Format::Open);
        let pool = r#"pool="we\"b\\\n""#;
        for (name, bound, count) in [
            ("buffer_wait_seconds", "0.001", 5),
            ("buffer_wait_seconds", "0.002", 6),
            ("buffer_wait_seconds", "+Inf", 8),
            ("service_seconds", "0.000064", 3),
            ("service_seconds", "0.000128", 5),
            ("service_seconds", "67.108864", 5),
            ("service_seconds", "+Inf", 6),
        ] {
            has(&text, &format!("bellwether_{name}_bucket{{{pool},le=\"{bound}\"}} {count}"));
        }
        has(&text, &format!("bellwether_service_seconds_sum{{{pool}}} 1.5"));
    }

    #[test]
    fn a_server_that_does_not_answer_is_down() {
        let why = "no server runs".to_owned();
        let text = text(Err(&why), Format::Text);
        has(&text, "bellwether_up 0");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn who_knows_openmetrics_is_told_in_it() {
        let check =
            |accepted: &str, format| assert_eq!(Format::wanted(accepted), format, "{accepted}");
        check(
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            Format::Open,
        );
        check("text/plain, application/openmetrics-text; q=0.5", Format::Open);
        check("*/*", Format::Text);
        check("", Format::Text);
        let text = text(Ok(&status()), Format::Text);
        has(&text, "# TYPE bellwether_requests_total counter");
        assert!(!text.contains("# EOF"), "{text}");
    }
}
