//! What the contests showed, as tables for people and as JSON for scripts.

use serde_json::{Value, json};

use super::Options;
use super::contest::{Contest, Course, Skipped};
use super::entrant::Entrant;
use super::rivals::Rival;
use super::running::Sample;
use super::trial::{SHARE, Trial};
use crate::figure::Figure;
use crate::load::CLIENTS;
use crate::machine::Machine;
use crate::table::Table;

type Quantity = fn(&Sample) -> f64;

/// Of fewer repetitions no spread is known.
const FEWEST: usize = 3;

const NOTE: &str = "\
Medians of all repetitions; ±: distance of the quartiles / median. Ours / its: what the first line of
the table has, divided by what this line has, within each repetition: median and quartiles. For
requests/s more than 1 is good for us; for CPU, p50 and p99 less is. About 1: the quartiles hold 1, so
no difference can be told. CPU: all processes and threads of the server, from /proc; of a large file
much is sent in the client's time, when the kernel handles what the client acknowledges, so that in
U the rate tells more.

Kept: connections that are kept; short: a connection for each request. By the clock: requests come at
random moments (Poisson) and wait for nobody, each on a connection of its own; times are from the
moment at which a request was due to the end of its answer. What the slowest can do is measured in
each repetition with two of these clients, who then ask again as soon as they are answered; where p50
is many milliseconds nevertheless, neighbours took the time (--condition s gives more of it). Failed: in all repetitions. Elsewhere: processor time of the machine that neither server nor client used; the
more, the less the figures mean. lighttpd and h2o have no fixed reply: they send a file of the same
bytes.
";

pub(super) fn markdown(
    machine: &Machine,
    options: &Options,
    contests: &[Contest],
    skipped: &Skipped,
) -> String {
    let heading = machine.heading();
    let (seconds, repetitions) = (options.seconds(), options.repetitions());
    let hasty = if options.quick { "; --quick: too short to believe" } else { "" };
    let load = format!(
        "* load: wrk, {CLIENTS} closed-loop connections from one thread unless told otherwise, \
         {seconds} s for each figure, {repetitions} repetitions, all entrants in turn{hasty}\n"
    );
    let rivals: Vec<String> = rivals(contests).iter().map(versioned).collect();
    let rivals = format!("* rivals: {}; libraries as in Cargo.lock\n", rivals.join(", "));
    let tables: String = contests.iter().map(tables).collect();
    let skipped: String = skipped.0.iter().map(|it| format!("\nSKIPPED: {it}\n")).collect();
    format!("{heading}{load}{rivals}\n{tables}{NOTE}{skipped}")
}

/// Each once.
fn rivals(contests: &[Contest]) -> Vec<Rival> {
    let mut rivals = Vec::new();
    for course in contests.iter().flat_map(|contest| &contest.courses) {
        if let Entrant::Rival(rival) = course.entrant
            && !rivals.contains(&rival)
        {
            rivals.push(rival);
        }
    }
    rivals
}

fn versioned(rival: &Rival) -> String {
    format!("{rival} {}", rival.version())
}

fn tables(contest: &Contest) -> String {
    let Some(first) = contest.courses.first() else { return String::new() };
    let table = |(index, trial): (usize, &Trial)| {
        let title = match trial {
            Trial::Open => {
                let rate = first.figure(index, |it| it.rate).median;
                format!("{trial}, {rate:.0} a second ({SHARE} of what the slowest can do)")
            }
            Trial::Closed(_) => trial.to_string(),
        };
        format!("{}: {title}\n\n{}\n", contest.title, table(contest, index, *trial))
    };
    contest.trials.iter().enumerate().map(table).collect()
}

/// What is shown: its name, its decimals, and where it is found.
fn columns(trial: Trial) -> Vec<(&'static str, usize, Quantity)> {
    let cpu: (_, _, Quantity) = ("CPU µs/request", 1, |it| it.cpu);
    match trial {
        Trial::Closed(_) => vec![("requests/s", 0, |it| it.rate), cpu],
        Trial::Open => vec![("p50 ms", 2, |it| it.p50), ("p99 ms", 2, |it| it.p99), cpu],
    }
}

fn table(contest: &Contest, index: usize, trial: Trial) -> Table {
    let columns = columns(trial);
    let mut head = vec!["entrant"];
    for (name, ..) in &columns {
        head.extend([*name, "ours / its"]);
    }
    head.extend(["failed", "elsewhere"]);
    let mut table = Table::new(&head);
    for (place, course) in contest.courses.iter().enumerate() {
        let mut row = vec![course.entrant.to_string()];
        for &(_, decimals, quantity) in &columns {
            let figure = course.figure(index, quantity);
            let ratio = course.ratio(&contest.courses[0], index, quantity);
            let (median, spread) = (figure.median, figure.spread() * 100.0);
            row.push(format!("{median:.decimals$} ± {spread:.0} %"));
            row.push(if place == 0 { "-".into() } else { compared(ratio) });
        }
        row.push(format!("{:.0}", failed(course, index)));
        let elsewhere = course.figure(index, |it| it.elsewhere).median;
        row.push(format!("{:.0} %", elsewhere * 100.0));
        table.push(row);
    }
    table
}

fn failed(course: &Course, trial: usize) -> f64 {
    course.samples[trial].iter().map(|it| it.failed).sum()
}

/// A ratio, unless its spread swallows the difference.
fn compared(ratio: Figure) -> String {
    let Figure { median, lower, upper, repetitions } = ratio;
    if repetitions < FEWEST {
        return "too few".into();
    }
    if lower <= 1.0 && upper >= 1.0 {
        return "about 1".into();
    }
    format!("{median:.2} ({lower:.2} to {upper:.2})")
}

pub(super) fn json(machine: &Machine, contests: &[Contest], skipped: &Skipped) -> Value {
    let contests: Vec<Value> = contests.iter().map(contest_json).collect();
    let machine = machine.json();
    json!({ "suite": "http", "machine": machine, "contests": contests, "skipped": skipped.0 })
}

fn contest_json(contest: &Contest) -> Value {
    let trials = contest.trials.iter().enumerate().map(|(index, trial)| {
        let cell = |course| cell_json(contest, course, index, *trial);
        let cells: Vec<Value> = contest.courses.iter().map(cell).collect();
        json!({ "trial": trial.to_string(), "entrants": cells })
    });
    json!({ "contest": contest.title, "trials": trials.collect::<Vec<_>>() })
}

fn cell_json(contest: &Contest, course: &Course, index: usize, trial: Trial) -> Value {
    let quantities = columns(trial).into_iter().map(|(name, _, quantity)| {
        let ratio = course.ratio(&contest.courses[0], index, quantity);
        let figure = course.figure(index, quantity).json();
        (name.to_owned(), json!({ "figure": figure, "ours_to_its": ratio.json() }))
    });
    let quantities: serde_json::Map<String, Value> = quantities.collect();
    json!({
        "entrant": course.entrant.to_string(),
        "quantities": quantities,
        "failed": failed(course, index),
        "elsewhere": course.figure(index, |it| it.elsewhere).json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_whose_quartiles_hold_one_is_about_one() {
        let check = |values: [f64; 3], expected: &str| {
            assert_eq!(compared(Figure::of(values)), expected);
        };
        check([0.9, 1.05, 1.2], "about 1");
        check([1.2, 1.1, 1.4], "1.20 (1.15 to 1.30)");
        check([0.4, 0.5, 0.6], "0.50 (0.45 to 0.55)");
        check([1.0, 1.0, 1.0], "about 1");
        assert_eq!(compared(Figure::of([0.5, 0.6])), "too few");
    }
}
