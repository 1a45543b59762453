//! The metrics as Prometheus reads them, and that they add up at every moment.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use serde_json::Value;

use super::{Observer, text};
use crate::clients::raw;
use crate::kit::{Kill, PATIENCE, Run, eventually};
use crate::stage::{ask, has, serve};

/// What is said of the only pool, by name.
fn numbers(metrics: &str) -> BTreeMap<String, f64> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.replace("{pool=\"shop\"}", ""), value.parse().ok()?))
        })
        .collect()
}

#[track_caller]
fn assert_adds_up(metrics: &str) {
    let all = numbers(metrics);
    let of = |name: &str| all[&format!("bellwether_{name}")];
    let ended = of("connections_completed_total") + of("connections_aborted_total");
    assert_eq!(of("connections_accepted_total"), ended + of("connections_in_flight"), "{metrics}");
    let lives = of("handlers_exited_total") + of("handlers_alive");
    assert_eq!(of("handlers_spawned_total"), lives, "{metrics}");
}

/// Looks at the metrics again and again while something is done, and at what never shrinks.
fn scrape_beside(observer: &Observer, work: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let (mut before, mut scrapes) = (BTreeMap::new(), 0);
            while !over.load(Ordering::Relaxed) || scrapes < 3 {
                let metrics = text(&observer.get("/metrics"));
                assert_adds_up(&metrics);
                let now = numbers(&metrics);
                for (name, value) in now.iter().filter(|(name, _)| name.contains("_total")) {
                    let earlier = before.get(name).copied().unwrap_or(0.0);
                    assert!(*value >= earlier, "{name}: {earlier} and then {value}");
                }
                (before, scrapes) = (now, scrapes + 1);
            }
        });
        work();
        over.store(true, Ordering::Relaxed);
        scraper.join().unwrap();
    });
}

#[test]
fn the_numbers_add_up_at_every_scrape_through_crashes_reload_and_upgrade() {
    let mut server = serve(&["--name", "shop"]);
    let observer = Observer::of(&server, &[]);
    scrape_beside(&observer, || {
        let some = |server: &Run| (0..50).for_each(|_| drop(raw(server, "GET /", "")));
        some(&server);
        Kill::of(server.handler_pids()[0]).expect("it lived");
        server.wait_ready(2);
        some(&server);
        for change in ["reload", "upgrade"] {
            assert!(ask(&server, &[change]).status.success(), "{change}");
            some(&server);
        }
    });
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn promtool_finds_nothing_wrong() {
    if !has("promtool") {
        return;
    }
    let mut server = serve(&["--name", "shop"]);
    raw(&server, "GET /", "");
    let observer = Observer::of(&server, &[]);
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = promtool.stderr(Stdio::piped()).spawn().unwrap();
    let metrics = text(&observer.get("/metrics"));
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    let found = check.wait_with_output().unwrap();
    assert!(found.status.success() && found.stdout.is_empty(), "{found:?}");
    assert_eq!(server.stop().code(), Some(0));
}

/// Ends with its test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it_and_answers() {
    if !has("prometheus") || !has("curl") {
        return;
    }
    let mut server = serve(&["--name", "shop"]);
    let observer = Observer::of(&server, &[]);
    let config = format!(
        "global: {{scrape_interval: 250ms}}\nscrape_configs:\n- job_name: bellwether\n  static_configs:\n  \
         - targets: ['{}']\n",
        observer.address
    );
    fs::write(server.path("prometheus.yml"), config).unwrap();
    // Nobody listens there yet; it cannot choose a port itself.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _prometheus = Ends(
        Command::new("prometheus")
            .arg(format!("--config.file={}", server.path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", server.path("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    (0..3).for_each(|_| drop(raw(&server, "GET /", "")));
    let query = |words: &str| {
        let url = format!("http://127.0.0.1:{port}/api/v1/query");
        let mut curl = Command::new("curl");
        curl.args(["-sG", &url, "--data-urlencode"]);
        let answer = curl.arg(format!("query={words}")).output().ok()?;
        let answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    eventually(PATIENCE, "an answer of Prometheus", || {
        (query("bellwether_requests_total{pool=\"shop\"}")? == "3").then_some(())
    });
    assert_eq!(query("sum(bellwether_handlers)").as_deref(), Some("2"));
    let p99 = query("histogram_quantile(0.99, bellwether_service_seconds_bucket)").unwrap();
    assert!(p99.parse::<f64>().unwrap() > 0.0, "{p99}");
    assert_eq!(server.stop().code(), Some(0));
}
