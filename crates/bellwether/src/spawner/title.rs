//! The spawner's line in ps(1) and top(1): its name, and how many handlers serve.

use super::Spawner;
use crate::pool::Pool;
use crate::sys::title;

/// What the line says, but for the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Title {
    serving: usize,
    most: usize,
    doing: &'static str,
}

impl Title {
    fn text(self, name: &str) -> String {
        let Self { serving, most, doing } = self;
        format!("bellwether: spawner {name} {serving}/{most} handlers{doing}")
    }
}

impl Spawner {
    /// Shows how it is, if that has changed; called at every turn of the loop.
    pub(super) fn show_title(&mut self) {
        // Handlers come and go, and changes begin and end, with an entry in the journal.
        if !std::mem::take(&mut self.title_is_behind) {
            return;
        }
        let doing = match self.stopping {
            Some(_) => ", stopping",
            None if self.change.is_going_on() => ", changing",
            None => "",
        };
        let sum = |number: fn(&Pool) -> usize| self.present().map(number).sum();
        let now = Title { serving: sum(Pool::serving), most: sum(Pool::limit_of_handlers), doing };
        if self.title.replace(now) != Some(now) {
            title::show(&now.text(&self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_who_and_how_many() {
        let line = Title { serving: 4, most: 8, doing: "" }.text("web");
        assert_eq!(line, "bellwether: spawner web 4/8 handlers");
        let line = Title { serving: 0, most: 1, doing: ", stopping" }.text("a.b");
        assert_eq!(line, "bellwether: spawner a.b 0/1 handlers, stopping");
    }
}
