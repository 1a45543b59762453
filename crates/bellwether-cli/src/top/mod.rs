//! `bellwether top`: a running server, live in the terminal.
//!
//! What is seen comes from threads that wait for it ([`source`]) into a [`model`], a pure value; keys
//! change how it is looked at, or become orders ([`keys`]); [`draw`] makes a picture of both. Where
//! there is no terminal to draw on, there is a line a time instead ([`plain`]).

mod cells;
mod draw;
mod keys;
mod model;
mod plain;
mod series;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use bellwether::Error;
use bellwether::status::Status;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use crate::config::written::Written;
use crate::ending::Ending;
use draw::Paint;
use keys::{Step, View};
use model::{Model, Seen};
use source::Source;

/// Watch a running server: who is busy, what waits, how many handlers there are and why.
///
/// Each handler is a cell: `#` busy, `.` idle, `*` it won since the last look, `o` it woke and another
/// was first, `+` starting, `-` leaving, `x` ending. Without a terminal it prints a line each time.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Which server; not needed where only one runs.
    #[arg(long)]
    name: Option<String>,

    /// How often to look (100ms to 1m).
    #[arg(short, long, value_name = "TIME", default_value = "1s")]
    interval: Written<Duration>,

    /// Print lines instead of drawing.
    #[arg(long)]
    plain: bool,
}

/// How often a server may be asked, and how seldom.
const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// How often is looked at what somebody else makes happen.
const BESIDE: Duration = Duration::from_millis(500);

/// Watches until the user has seen enough.
pub(crate) fn run(order: &Top) -> Result<(), Ending> {
    let interval = order.interval.0;
    if !(INTERVALS[0]..=INTERVALS[1]).contains(&interval) {
        let problem = "it is to be from 100ms to 1m".into();
        return Err(Error::Configure { what: "--interval".into(), problem }.into());
    }
    if order.plain || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return plain::run(order.name.as_deref(), interval);
    }
    // Whether there is a server at all is said before the screen is taken.
    let first = bellwether::remote::status(order.name.as_deref())?;
    let (_speaker, silence) = channel();
    on_screen(first, interval, &silence)
}

/// Shows a server and what is said beside it, until nobody says anything any more or the user has seen
/// enough.
pub(crate) fn show(name: &str, said: Receiver<String>) -> Result<(), Ending> {
    on_screen(bellwether::remote::status(Some(name))?, BESIDE, &said)
}

fn on_screen(first: Status, interval: Duration, said: &Receiver<String>) -> Result<(), Ending> {
    let source = Source::of(first.name.clone(), interval);
    let mut model = Model::default();
    model.see(first, Instant::now());
    let mut terminal = ratatui::try_init().map_err(unusable)?;
    let watched = watch(&mut terminal, &mut model, &source, said);
    ratatui::restore();
    Ok(watched.map_err(unusable)?)
}

fn unusable(source: std::io::Error) -> Error {
    Error::System {
        doing: "draw on the terminal; `bellwether top --plain` prints lines".into(),
        source,
    }
}

/// How soon what has arrived is drawn, and a key is heard at once.
const FRAME: Duration = Duration::from_millis(50);

fn watch(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    source: &Source,
    said: &Receiver<String>,
) -> std::io::Result<()> {
    let (mut view, paint) = (View::default(), Paint::of_environment());
    let mut changed = true;
    loop {
        if changed {
            terminal.draw(|frame| draw::all(frame, model, &view, paint))?;
        }
        changed = model.take(source.arrived()) | view.forget_question(Instant::now());
        match said.try_recv() {
            Ok(words) => changed |= model.take(vec![Seen::Answered(words)]),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        if !event::poll(FRAME)? {
            continue;
        }
        changed = true;
        let Event::Key(key) = event::read()? else { continue };
        match view.press(key, model, Instant::now()) {
            Step::Leave => return Ok(()),
            Step::Order(order) => source.order(order),
            Step::Look => {}
        }
    }
}
