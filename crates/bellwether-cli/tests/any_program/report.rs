//! What was seen of all programs, as a document.

use std::fmt::Write;
use std::process::Command;

use crate::programs::Program;
use crate::trial;

const HEAD: &str = "# Any program

`bellwether run -- CMD` was tried with these programs, none of which was changed: two handlers on one address, 1,000 requests
on new connections by four clients at once, then two reloads (`bellwether reload`) while the clients go on. *Shares*: how many
of the 1,000 each process answered, where it tells. *Reloaded*: answers while the handlers were replaced; no request failed in
any of them, or the test would have. *Doctor*: what `bellwether doctor` recommends, after how long the slower of two handlers
was ready, and what each took of memory (proportional set size). Made by

    cargo test -p bellwether-cli --test any_program -- --ignored

";

pub(crate) fn write() {
    let mut text = String::from(HEAD);
    text += "| program | version | how it is given the address | answered | shares | reloaded | failed | doctor | ready | memory |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|\n";
    for program in Program::all() {
        println!("{}", program.name);
        let seen = match program.missing() {
            Some(why) => Err(why),
            None => trial::of(&program).ok_or_else(|| "it cannot be installed here".into()),
        };
        let (name, version) = (program.name, version(program.version));
        match seen {
            Ok(seen) => {
                let shares: Vec<_> = seen.shares.iter().map(ToString::to_string).collect();
                let shares = if program.tells { shares.join(" + ") } else { "-".into() };
                let pass = seen.pass.rsplit_once(", which ").map_or("", |(_, how)| how);
                let pass = pass.split(':').next().unwrap_or_default().trim_start_matches("is ");
                let (requests, reloaded) = (seen.requests, seen.reloaded);
                let doctor = doctor(&program);
                writeln!(
                    text,
                    "| {name} | {version} | {pass} | {requests} | {shares} | {reloaded} | 0 | {doctor} |"
                )
                .unwrap();
            }
            Err(why) => {
                writeln!(text, "| {name} | {version} | not tried: {why} | | | | | | | |").unwrap()
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/any-program.md");
    std::fs::write(path, text).unwrap();
}

/// What is recommended, and what it is like.
fn doctor(program: &Program) -> String {
    let Some(findings) = crate::doctor::examined(program) else { return "- | - | -".into() };
    let best = findings["best"].as_str().unwrap_or("nothing").to_owned();
    let ways = findings["ways"].as_array().unwrap();
    // What its recipe says works, and so is recommended.
    assert_eq!(ways[0]["way"], *best, "{findings:#}");
    let facts = ways.iter().find(|it| it["way"] == *best).map(|it| &it["facts"]);
    let number = |key: &str| facts.and_then(|it| it[key].as_f64()).unwrap_or_default();
    let (ready, memory) = (number("ready_ms") / 1000.0, number("memory") / 1024.0 / 1024.0);
    format!("{best} | {ready:.2} s | {memory:.0} MiB")
}

/// The first number with a dot in what a program says of its version.
fn version(command: &[&str]) -> String {
    let mut asked = Command::new(command[0]);
    if let Some(venv) = crate::installed::python().filter(|_| command[0] == "python3") {
        asked = Command::new(venv.join("bin/python3"));
    }
    let Ok(output) = asked.args(&command[1..]).output() else { return "-".into() };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let starts = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let words = said.split(|c: char| !is_number(c)).find(starts);
    words.map_or_else(|| "-".into(), |word| word.trim_end_matches('.').into())
}
