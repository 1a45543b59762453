//! A cell for each handler: its state, and whether it won since the last look.

use bellwether::status::HandlerStatus;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::draw::Paint;
use super::model::{Grown, Track, who};

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Busy,
    /// Idle again, after it won.
    Won,
    /// It woke, and another was first.
    Woke,
    Idle,
    Starting,
    Leaving,
    Ending,
}

impl Cell {
    fn of(handler: &HandlerStatus, grown: Grown) -> Self {
        match handler.state.as_str() {
            "busy" => Self::Busy,
            "idle" if grown.wins > 0 => Self::Won,
            "idle" if grown.wakeups > 0 => Self::Woke,
            "idle" => Self::Idle,
            "starting" => Self::Starting,
            "leaving" => Self::Leaving,
            _ => Self::Ending,
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            Self::Busy => "#",
            Self::Won => "*",
            Self::Woke => "o",
            Self::Idle => ".",
            Self::Starting => "+",
            Self::Leaving => "-",
            Self::Ending => "x",
        }
    }

    fn style(self) -> Style {
        let plain = Style::new();
        match self {
            Self::Busy => plain.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            Self::Won => plain.fg(Color::Green).add_modifier(Modifier::BOLD),
            Self::Woke => plain.fg(Color::Green),
            Self::Idle => plain.fg(Color::Green).add_modifier(Modifier::DIM),
            Self::Starting => plain.fg(Color::Cyan),
            Self::Leaving => plain.fg(Color::Magenta),
            Self::Ending => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

/// The cells of all handlers, as lines of this width.
pub(super) fn lines(
    handlers: &[HandlerStatus],
    track: Option<&Track>,
    width: u16,
    paint: Paint,
) -> Vec<Line<'static>> {
    let width = usize::from(width).max(1);
    // With room between them, as long as all fit into two lines.
    let apart = handlers.len() * 2 <= width * 2;
    let a_line = if apart { width.div_ceil(2) } else { width };
    let span = |handler: &HandlerStatus| {
        let grown = track.and_then(|track| track.grown.get(&who(handler))).copied();
        let cell = Cell::of(handler, grown.unwrap_or_default());
        let letter = cell.letter();
        let text = if apart { format!("{letter} ") } else { letter.into() };
        Span::styled(text, paint.style(cell.style()))
    };
    let spans: Vec<_> = handlers.iter().map(span).collect();
    spans.chunks(a_line).map(|chunk| Line::from(chunk.to_vec())).collect()
}
