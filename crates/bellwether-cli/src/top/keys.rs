//! What keys do: change what is looked at, or tell the server something, after a question.

use std::time::{Duration, Instant};

use bellwether::Scale;
use bellwether::status::PoolStatus;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Model;
use super::source::Order;
use super::table::{Filter, Sort};

/// How long a question waits for its second key.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the user looks at it.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Which pool, by its place among them.
    pool: usize,
    pub(super) sort: Sort,
    pub(super) filter: Filter,
    /// How many handlers of the table are above the screen.
    pub(super) above: usize,
    /// What was asked, by which key, and when.
    question: Option<(Order, KeyCode, Instant)>,
}

/// What a key leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Look,
    Order(Order),
    Leave,
}

impl View {
    /// The pool that is looked at.
    pub(super) fn pool<'a>(&self, model: &'a Model) -> Option<&'a PoolStatus> {
        let pools = model.pools();
        pools.get(self.pool).or_else(|| pools.last())
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: KeyEvent, model: &Model, now: Instant) -> Step {
        if key.kind == KeyEventKind::Release {
            return Step::Look;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if let Some((order, code, _)) = self.question.take() {
            let same = code == key.code && !control;
            return if same { Step::Order(order) } else { Step::Look };
        }
        match key.code {
            KeyCode::Char('c') if control => return Step::Leave,
            KeyCode::Char('q') | KeyCode::Esc => return Step::Leave,
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.pool + 1, model),
            KeyCode::BackTab | KeyCode::Left => {
                let last = model.pools().len().saturating_sub(1);
                self.turn_to(self.pool.checked_sub(1).unwrap_or(last), model);
            }
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('f') => (self.filter, self.above) = (self.filter.next(), 0),
            KeyCode::Down => self.above += 1,
            KeyCode::Up => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown => self.above += 10,
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::Home => self.above = 0,
            code => {
                let order = self.pool(model).and_then(|pool| order(code, pool));
                self.question = order.map(|order| (order, code, now));
            }
        }
        let handlers = self.pool(model).map_or(0, |pool| pool.handlers.len());
        self.above = self.above.min(handlers.saturating_sub(1));
        Step::Look
    }

    fn turn_to(&mut self, pool: usize, model: &Model) {
        self.pool = if pool < model.pools().len() { pool } else { 0 };
        self.above = 0;
    }

    /// A question that was not answered in time is none; tells whether that is new.
    pub(super) fn forget_question(&mut self, now: Instant) -> bool {
        let late = |since: &Instant| now.duration_since(*since) > PATIENCE;
        self.question.take_if(|(_, _, since)| late(since)).is_some()
    }

    /// The question that waits for an answer.
    pub(super) fn question(&self) -> Option<String> {
        let (order, code, _) = self.question.as_ref()?;
        let what = match order {
            Order::Reload => "replace all handlers by new ones".into(),
            Order::Drain { pool } => format!("let {pool} finish and take nothing new, for good"),
            Order::Scale { pool, to: Scale::Auto } => format!("scale {pool} as configured"),
            Order::Scale { pool, to } => format!("scale {pool} to {to}"),
        };
        Some(format!("{what}? {code} again: yes; any other key: no"))
    }
}

fn order(key: KeyCode, pool: &PoolStatus) -> Option<Order> {
    let name = pool.name.clone();
    let (min, max) = (pool.min, pool.max);
    let scale = |min: usize, max: usize| {
        let to = Scale::Between(min, max);
        Some(Order::Scale { pool: name.clone(), to })
    };
    match key {
        KeyCode::Char('r') => Some(Order::Reload),
        KeyCode::Char('d') => Some(Order::Drain { pool: name }),
        KeyCode::Char('a') => Some(Order::Scale { pool: name, to: Scale::Auto }),
        KeyCode::Char('+') if min == max => scale(max + 1, max + 1),
        KeyCode::Char('+') => scale(min, max + 1),
        KeyCode::Char('-') if max > 1 => scale(min.min(max - 1), max - 1),
        _ => None,
    }
}
