//! Pictures at three sizes, and what keys do.

use std::time::{Duration, Instant};

use bellwether::Scale;
use bellwether::status::Status;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::draw::{self, Paint};
use super::keys::{Step, View};
use super::model::{Model, Seen};
use super::source::Order;

fn handler(slot: u64, state: &str, wins: u64, wakeups: u64) -> Value {
    let mut handler = serde_json::to_value(bellwether::status::HandlerStatus::default()).unwrap();
    let known = json!({"slot": slot, "pid": 4000 + slot, "generation": 2, "state": state,
        "age_s": 75.0, "wins": wins, "wakeups": wakeups, "requests": wins,
        "open": u64::from(state == "busy")});
    let Value::Object(known) = known else { panic!("{known}") };
    handler.as_object_mut().unwrap().extend(known);
    handler
}

/// A server after so many seconds, with so many handlers.
fn status(second: u64, number: u64, pools: &[&str]) -> Status {
    let states = ["busy", "idle", "idle", "idle", "starting", "leaving", "killed"];
    let handlers = (0..number).zip(states.iter().cycle()).map(|(slot, state)| {
        handler(slot, state, second * (slot % 3), second * (slot % 3 + slot % 2))
    });
    let handlers: Vec<_> = handlers.collect();
    let pool = |name: &&str| {
        let mut pool = serde_json::to_value(bellwether::status::PoolStatus::default()).unwrap();
        let known = json!({"name": name, "state": "serving", "generation": 2, "min": 2,
            "max": 8, "want": number, "why": "demand: 3.2 busy \u{1b}[31m, a reserve of 2",
            "threads": 1, "handlers": handlers, "limited_by": "max",
            "addresses": [{"address": "tcp://127.0.0.1:8080", "depth": second % 5,
                "limit": 4096, "overflows": 0}],
            "waits": {"counts": [second * 100, second]}});
        let Value::Object(known) = known else { panic!("{known}") };
        pool.as_object_mut().unwrap().extend(known);
        pool["totals"]["accepted"] = (second * second * 10).into();
        pool
    };
    let pools: Vec<_> = pools.iter().map(pool).collect();
    let server = json!({"name": "shop", "version": "0.1.0", "pid": 4000, "state": "serving",
        "uptime_s": 3725.0, "pools": pools});
    serde_json::from_value(server).unwrap()
}

fn model(number: u64, pools: &[&str]) -> Model {
    let mut model = Model::default();
    let begun = Instant::now();
    for second in 1..60 {
        model.see(status(second, number, pools), begun + Duration::from_secs(second));
    }
    let entry = |number: u64| {
        let entry = json!({"number": number, "unix_ms": number * 1000, "kind": "exit", "slot": 3,
            "cause": "signal", "rule": "signal", "reason": "ended by SIGSEGV \u{1b}[2J"});
        Seen::Told(Box::new(serde_json::from_value(entry).unwrap()))
    };
    model.take((1..9).chain(1..9).map(entry).collect());
    model
}

/// The screen as text, a line a row.
fn picture(width: u16, height: u16, model: &Model, view: &View) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let paint = Paint { colours: false };
    terminal.draw(|frame| draw::all(frame, model, view, paint)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        format!("{}\n", cells.trim_end())
    };
    (0..height).map(row).collect()
}

/// Compares with a file beside this one; `BELLWETHER_WRITE_PICTURES=1` writes it anew.
#[track_caller]
fn check(name: &str, seen: &str) {
    let path = format!("{}/src/top/pictures/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BELLWETHER_WRITE_PICTURES").is_some() {
        std::fs::write(&path, seen).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(seen == expected, "{path} differs from:\n{seen}");
}

#[test]
fn the_screen_at_three_sizes() {
    let model = model(9, &["shop"]);
    for (width, height) in [(80, 24), (40, 12), (140, 45)] {
        let seen = picture(width, height, &model, &View::default());
        check(&format!("{width}x{height}"), &seen);
        assert!(!seen.contains('\u{1b}'), "nothing commands the terminal");
    }
}

#[test]
fn very_many_handlers_leave_room_for_the_rest() {
    let seen = picture(80, 24, &model(512, &["shop"]), &View::default());
    check("80x24-512", &seen);
}

#[test]
fn no_size_is_too_small() {
    let (few, many) = (model(9, &["a", "b"]), model(512, &["shop"]));
    for size in 1..30 {
        for model in [&few, &many, &Model::default()] {
            picture(size * 3, size, model, &View::default());
            picture(size, 1, model, &View::default());
        }
    }
}

#[test]
fn a_server_that_is_gone_is_said_to_be_and_its_last_state_stays() {
    let mut model = model(9, &["shop"]);
    model.take(vec![Seen::Lost("no server runs".into())]);
    let seen = picture(80, 24, &model, &View::default());
    assert!(seen.contains("no answer: no server runs") && seen.contains("9 handlers"), "{seen}");
    model.take(vec![Seen::Status(Box::new(status(60, 9, &["shop"])))]);
    assert!(!picture(80, 24, &model, &View::default()).contains("no answer"));
}

fn press(view: &mut View, key: char, model: &Model) -> Step {
    let code = if key == '\t' { KeyCode::Tab } else { KeyCode::Char(key) };
    view.press(KeyEvent::new(code, KeyModifiers::NONE), model, Instant::now())
}

#[test]
fn what_changes_the_server_is_asked_and_done_by_the_same_key() {
    let model = model(9, &["api", "web"]);
    let scale = |min, max| Order::Scale { pool: "api".into(), to: Scale::Between(min, max) };
    for (key, order, words) in [
        ('r', Order::Reload, "replace all handlers"),
        ('d', Order::Drain { pool: "api".into() }, "let api finish"),
        ('+', scale(2, 9), "scale api to 2..9"),
        ('-', scale(2, 7), "scale api to 2..7"),
        ('a', Order::Scale { pool: "api".into(), to: Scale::Auto }, "as configured"),
    ] {
        let mut view = View::default();
        assert_eq!(press(&mut view, key, &model), Step::Look);
        let seen = picture(80, 24, &model, &view);
        assert!(seen.contains(words) && seen.contains("again: yes"), "{seen}");
        assert_eq!(press(&mut view, key, &model), Step::Order(order));
        assert_eq!(view.question(), None);
        press(&mut view, key, &model);
        assert_eq!(press(&mut view, 'q', &model), Step::Look, "any other key is a no");
        press(&mut view, key, &model);
        assert!(view.forget_question(Instant::now() + Duration::from_secs(6)));
        assert_eq!(press(&mut view, 'q', &model), Step::Leave);
    }
}

#[test]
fn handlers_are_sorted_and_chosen_and_pools_come_in_turn() {
    let model = model(9, &["api", "web"]);
    let mut view = View::default();
    let rows = |view: &View| picture(140, 45, &model, view);
    press(&mut view, 'f', &model);
    assert!(rows(&view).contains("show: busy") && !rows(&view).contains(" idle "));
    press(&mut view, 'f', &model);
    assert!(rows(&view).contains("leaving") && !rows(&view).contains(" busy  "));
    press(&mut view, 'f', &model);
    press(&mut view, 's', &model);
    press(&mut view, 's', &model);
    let seen = rows(&view);
    let first = seen.lines().skip_while(|line| !line.starts_with("SLOT")).nth(1);
    assert!(
        first.is_some_and(|row| row.starts_with("   2 ")),
        "the one with most requests: {seen}"
    );
    press(&mut view, '\t', &model);
    assert!(rows(&view).contains("pool web of 2"));
    press(&mut view, '\t', &model);
    assert!(rows(&view).contains("pool api of 2"));
}
