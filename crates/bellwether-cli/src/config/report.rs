//! Findings as people and as programs read them.

use std::io::{IsTerminal, Write};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::file::Outcome;
use super::finding::{Finding, MOST, Place, line_and_column};

/// Prints findings on standard error, each with its line and a caret below it.
pub(super) fn to_people(outcome: &Outcome) {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let coloured = !no_colour && std::io::stderr().is_terminal();
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    say(&text(outcome, &renderer));
}

/// Prints on standard error; with that gone, the exit status must say it alone.
pub(super) fn say(words: &str) {
    let _ = std::io::stderr().write_all(words.as_bytes());
}

fn text(outcome: &Outcome, renderer: &Renderer) -> String {
    let path = outcome.path.display().to_string();
    let each = outcome.findings.iter().map(|finding| {
        let text = renderer.render(&[group(finding, &outcome.text, &path)]);
        format!("{text}\n\n")
    });
    let many = match outcome.findings.len() {
        1 => "1 error".into(),
        MOST => format!("the first {MOST} errors are shown"),
        many => format!("{many} errors"),
    };
    each.collect::<String>() + &format!("{path} is wrong: {many}\n")
}

fn group<'a>(finding: &'a Finding, source: &'a str, path: &'a str) -> Group<'a> {
    let kinds =
        std::iter::once(AnnotationKind::Primary).chain(std::iter::repeat(AnnotationKind::Context));
    let annotations = kinds.zip(&finding.places).map(|(kind, place)| {
        let annotation = kind.span(visible(place, source));
        if place.label.is_empty() { annotation } else { annotation.label(&place.label) }
    });
    let snippet = Snippet::source(source).path(path).annotations(annotations);
    let title = Level::ERROR.primary_title(&finding.message);
    title.element(snippet).element(Level::HELP.message(&finding.hint))
}

/// A span of which at least something can be underlined.
fn visible(place: &Place, source: &str) -> std::ops::Range<usize> {
    let end = source.len();
    place.span.start.min(end)..place.span.end.min(end)
}

/// Findings as JSON with stable keys.
pub(super) fn to_programs(outcome: &Outcome) -> Value {
    let place = |place: &Place| {
        let (line, column) = line_and_column(&outcome.text, place.span.start);
        json!({ "line": line, "column": column, "label": place.label })
    };
    let finding = |finding: &Finding| {
        let (line, column) = line_and_column(&outcome.text, finding.start());
        json!({
            "line": line,
            "column": column,
            "message": finding.message,
            "hint": finding.hint,
            "places": finding.places.iter().map(place).collect::<Vec<_>>(),
        })
    };
    json!({
        "file": outcome.path,
        "fine": outcome.findings.is_empty(),
        "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
