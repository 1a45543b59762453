//! The picture: what is there at each size of the screen.

use bellwether::status::{PoolStatus, Status};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Sparkline};

use super::cells;
use super::keys::View;
use super::model::{Model, Track};
use super::series::Series;
use super::table;
use crate::events::line_of_journal;
use crate::words::{age, clean, count, counted};

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) colours: bool,
}

impl Paint {
    /// Without colours where NO_COLOR is set to something (no-color.org).
    pub(super) fn of_environment() -> Self {
        Self { colours: std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()) }
    }

    /// A style as far as it can be shown.
    pub(super) fn style(self, style: Style) -> Style {
        if self.colours { style } else { Style { fg: None, bg: None, ..style } }
    }
}

/// A chart is its title and two lines.
const CHART: u16 = 3;
const CHARTS: u16 = 2 * CHART;

/// On so few lines there are no charts, and on fewer still no journal.
const TOO_LOW_FOR_CHARTS: u16 = 18;
const TOO_LOW_FOR_JOURNAL: u16 = 14;

/// Draws all of it.
pub(super) fn all(frame: &mut Frame<'_>, model: &Model, view: &View, paint: Paint) {
    let area = frame.area();
    let pool = view.pool(model);
    let handlers = pool.map_or(&[][..], |pool| &pool.handlers);
    let track = pool.and_then(|pool| model.track(pool));
    let cells = cells::lines(handlers, track, area.width, paint);
    let charts = if area.height < TOO_LOW_FOR_CHARTS { 0 } else { CHARTS };
    let journal = if area.height < TOO_LOW_FOR_JOURNAL { 0 } else { area.height / 4 };
    // The cells of very many handlers leave room for the rest.
    let room = u16::try_from(cells.len()).unwrap_or(u16::MAX).min(area.height / 3) + 1;
    let heights = [
        Constraint::Length(3),
        Constraint::Length(charts),
        Constraint::Length(room),
        Constraint::Min(0),
        Constraint::Length(journal),
        Constraint::Length(1),
    ];
    let [top, middle, crowd, rows, told, foot] = Layout::vertical(heights).areas(area);
    head(frame, top, model, view, paint);
    if let Some(pool) = pool {
        if let Some(track) = track {
            four_charts(frame, middle, pool, track, paint);
        }
        let title = Line::styled(crew(pool), Style::new().add_modifier(Modifier::BOLD));
        frame.render_widget(Paragraph::new([vec![title], cells].concat()), crowd);
        crew_table(frame, rows, pool, track, view);
    }
    journal_lines(frame, told, model);
    footer(frame, foot, model, view, paint);
}

fn head(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View, paint: Paint) {
    let mut lines = Vec::new();
    if let Some(status) = &model.status {
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let width = usize::from(area.width);
        lines.push(Line::styled(format!("{:<width$}", server(status, view, model)), reversed));
    }
    match (&model.lost, view.pool(model)) {
        (Some(why), _) => {
            let red = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
            lines.push(Line::styled(format!("no answer: {}", clean(why)), paint.style(red)));
        }
        (None, Some(pool)) => lines.extend([buffers(pool), reason(pool)].map(Line::from)),
        (None, None) => {}
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn server(status: &Status, view: &View, model: &Model) -> String {
    let Status { name, state, uptime_s, pid, change, .. } = status;
    let change = change.iter().map(|it| format!(" | {}", clean(it))).collect::<String>();
    let pool = view.pool(model).filter(|_| status.pools.len() > 1);
    let which = pool.map_or_else(String::new, |pool| {
        format!(" | pool {} of {}: Tab", pool.name, status.pools.len())
    });
    format!(" {name} | {state} for {} | pid {pid}{which}{change}", age(*uptime_s))
}

fn buffers(pool: &PoolStatus) -> String {
    let Some(first) = pool.addresses.first() else { return String::new() };
    let more = match pool.addresses.len() {
        1 => String::new(),
        several => format!(", and {}", counted(several as u64 - 1, "more address")),
    };
    let dropped = first.overflows.map_or_else(String::new, |it| format!(", {} dropped", count(it)));
    let (depth, limit) = (first.depth, first.limit);
    format!("{}: {depth} of {limit} wait{dropped}{more}", clean(&first.address))
}

fn reason(pool: &PoolStatus) -> String {
    let limit = pool.limited_by.iter().map(|it| format!("; no more because of {it}"));
    format!("because {}{}", clean(&pool.why), limit.collect::<String>())
}

/// How many handlers there are and should be.
fn crew(pool: &PoolStatus) -> String {
    let busy = pool.handlers.iter().filter(|it| it.state == "busy").count();
    let number = counted(pool.handlers.len() as u64, "handler");
    let PoolStatus { min, max, want, generation, .. } = pool;
    format!("{number}, {busy} busy, {want} wanted of {min}..{max}, generation {generation}")
}

fn four_charts(frame: &mut Frame<'_>, area: Rect, pool: &PoolStatus, track: &Track, paint: Paint) {
    let [upper, lower] = Layout::vertical([Constraint::Length(CHART); 2]).areas(area);
    let halves = |row: Rect| Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(row);
    let [one, two]: [Rect; 2] = halves(upper);
    let [three, four]: [Rect; 2] = halves(lower);
    let depth = format!("in the buffer {}", count(track.depth.now()));
    let handlers = format!("handlers {}", track.handlers.now());
    if pool.serves.is_none() {
        let arrivals = format!("connections {}/s", count(track.arrivals.now()));
        let wait = format!("waited, 99 % under {} ms", count(track.wait.now()));
        chart(frame, one, arrivals, &track.arrivals, paint.style(Style::new().fg(Color::Blue)));
        chart(frame, four, wait, &track.wait, paint.style(Style::new().fg(Color::Magenta)));
    } else {
        let untold = "connections and waits: programs do not tell";
        frame.render_widget(Paragraph::new(untold), one);
    }
    chart(frame, two, handlers, &track.handlers, paint.style(Style::new().fg(Color::Green)));
    chart(frame, three, depth, &track.depth, paint.style(Style::new().fg(Color::Yellow)));
}

fn chart(frame: &mut Frame<'_>, area: Rect, title: String, series: &Series, style: Style) {
    let [top, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(title), top);
    let data = series.last(usize::from(rest.width));
    frame.render_widget(Sparkline::default().data(data).style(style), rest);
}

fn crew_table(
    frame: &mut Frame<'_>,
    area: Rect,
    pool: &PoolStatus,
    track: Option<&Track>,
    view: &View,
) {
    let dim = Style::new().add_modifier(Modifier::DIM);
    let head = Line::styled(table::head(pool), dim);
    let room = usize::from(area.height.saturating_sub(1));
    let chosen = table::chosen(pool, view.sort, view.filter);
    let rows = chosen.into_iter().skip(view.above).take(room);
    let rows = rows.map(|handler| Line::from(table::row(handler, pool, track)));
    frame.render_widget(Paragraph::new([head].into_iter().chain(rows).collect::<Vec<_>>()), area);
}

/// The last entries, the newest at the bottom.
fn journal_lines(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let first = model.entries.len().saturating_sub(usize::from(area.height));
    let entries = model.entries.iter().skip(first);
    let lines = entries.map(|entry| Line::from(line_of_journal(entry)));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn footer(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View, paint: Paint) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let line = if let Some(question) = view.question() {
        Line::styled(question, paint.style(bold.fg(Color::Yellow)))
    } else if let Some(answer) = &model.answer {
        Line::styled(clean(answer), bold)
    } else {
        let (sort, filter) = (view.sort.word(), view.filter.word());
        Line::from(format!(
            "q leave  s sort: {sort}  f show: {filter}  +/- a auto scale  r reload  d drain"
        ))
    };
    frame.render_widget(Paragraph::new(line), area);
}
