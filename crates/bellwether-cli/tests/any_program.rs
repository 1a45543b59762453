//! Real programs of many languages, unchanged, as pools: all is answered, the work is shared, and
//! nothing is lost when they are replaced under load.
//!
//! `cargo test -p bellwether-cli --test any_program -- --ignored` tries them all one after the other
//! and writes what it saw into docs/any-program.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of it is test code, but clippy sees that only in functions marked #[test]"
)]

#[path = "../../bellwether/tests/kit/mod.rs"]
mod kit;

#[path = "any_program/addresses.rs"]
mod addresses;
#[path = "any_program/dev.rs"]
mod dev;
#[path = "any_program/doctor.rs"]
mod doctor;
#[path = "any_program/front.rs"]
mod front;
#[path = "any_program/installed.rs"]
mod installed;
#[path = "any_program/life.rs"]
mod life;
#[path = "any_program/lines.rs"]
mod lines;
#[path = "any_program/port.rs"]
mod port;
#[path = "any_program/programs.rs"]
mod programs;
#[path = "any_program/report.rs"]
mod report;
#[path = "any_program/rights.rs"]
mod rights;
#[path = "any_program/strays.rs"]
mod strays;
#[path = "any_program/succession.rs"]
mod succession;
#[path = "any_program/trial.rs"]
mod trial;
#[path = "any_program/unix.rs"]
mod unix;
#[path = "any_program/words.rs"]
mod words;

use programs::Program;

/// Tries one program, where it is installed.
#[track_caller]
fn check(name: &str) {
    let program = Program::all().into_iter().find(|it| it.name == name).unwrap();
    match program.missing() {
        Some(why) => println!("SKIPPED: {name}: {why}"),
        None => drop(trial::of(&program)),
    }
}

#[test]
fn python_http_server() {
    check("python -m http.server");
}

#[test]
fn python_threads() {
    check("Python ThreadingHTTPServer");
}

#[test]
fn uvicorn() {
    check("uvicorn");
}

#[test]
fn gunicorn() {
    check("gunicorn");
}

#[test]
fn granian() {
    check("granian");
}

#[test]
fn node() {
    check("node http");
}

#[test]
fn node_behind_a_shell() {
    check("node behind `sh -c`");
}

#[test]
fn express_behind_npm() {
    check("express behind `npm start`");
}

#[test]
fn php() {
    check("php -S");
}

#[test]
fn php_cgi_behind_nginx() {
    check("php-cgi behind nginx");
}

#[test]
fn ruby() {
    check("ruby WEBrick");
}

#[test]
fn puma() {
    check("puma");
}

#[test]
fn go_static() {
    check("Go, static");
}

#[test]
fn go_dynamic() {
    check("Go, dynamic");
}

#[test]
fn java() {
    check("Java HttpServer");
}

#[test]
fn nginx() {
    check("nginx");
}

#[test]
fn uvicorn_adopted() {
    check("uvicorn, adopted");
}

#[test]
fn gunicorn_adopted() {
    check("gunicorn, adopted");
}

#[test]
fn puma_adopted() {
    check("puma, adopted");
}

#[test]
#[ignore = "writes docs/any-program.md"]
fn table() {
    report::write();
}
