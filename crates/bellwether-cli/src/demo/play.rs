//! What happens when: acts of a play.

use std::time::Duration;

/// Requests a second while all is calm; one handler can do so many.
const CALM: u32 = 20;

/// Of so many requests in a storm one is deadly.
const DEADLY: u64 = 12;

/// One act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) name: &'static str,
    /// What the audience is told.
    pub(super) words: &'static str,
    /// When it begins, since the beginning of the play.
    pub(super) begins: Duration,
    pub(super) lasts: Duration,
    /// Requests a second.
    pub(super) rate: u32,
    /// Whether some requests kill their handler.
    pub(super) deadly: bool,
    /// Whether it begins with a reload.
    pub(super) reload: bool,
}

/// The acts of a play of that length.
pub(super) fn play(length: Duration) -> Vec<Act> {
    let acts = [
        ("calm", "calm: 20 requests a second, each waits 50 ms for something", 5, 1, "calm"),
        (
            "10 × load",
            "ten times the load: handlers are added before the queue grows",
            8,
            10,
            "calm",
        ),
        (
            "crashes",
            "one request in 12 kills its handler: the others notice nothing",
            6,
            5,
            "deadly",
        ),
        ("reload", "all handlers are replaced under load: nobody is refused", 6, 5, "reload"),
        ("calm again", "calm again: handlers leave, the slowest habit of all", 5, 1, "calm"),
    ];
    let whole: u32 = acts.iter().map(|(_, _, share, ..)| share).sum();
    let mut begins = Duration::ZERO;
    let act = |(name, words, share, times, kind): (_, _, u32, u32, &str)| {
        let lasts = length * share / whole;
        let act = Act {
            name,
            words,
            begins,
            lasts,
            rate: CALM * times,
            deadly: kind == "deadly",
            reload: kind == "reload",
        };
        begins += lasts;
        act
    };
    acts.map(act).into()
}

/// One request: when it is made, since the beginning of its act, and whether it is deadly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) at: Duration,
    pub(super) deadly: bool,
}

impl Act {
    /// The requests of the act, evenly spread.
    pub(super) fn requests(self) -> impl Iterator<Item = Request> {
        let pause = Duration::from_secs(1) / self.rate;
        (0_u32..).map(move |i| (i, pause * i)).take_while(move |(_, at)| *at < self.lasts).map(
            move |(i, at)| {
                let deadly = self.deadly && u64::from(i) % DEADLY == DEADLY - 1;
                Request { at, deadly }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_play_fills_its_time() {
        for length in [5, 30, 3600].map(Duration::from_secs) {
            let acts = play(length);
            let end = acts.iter().map(|act| act.lasts).sum::<Duration>();
            assert!(length - end < Duration::from_millis(1), "{end:?} of {length:?}");
            assert!(acts.windows(2).all(|it| it[0].begins + it[0].lasts == it[1].begins));
        }
    }

    #[test]
    fn one_request_in_twelve_of_a_storm_is_deadly() {
        let acts = play(Duration::from_secs(30));
        let deadly = |act: &Act| act.requests().filter(|it| it.deadly).count();
        let count = |act: &Act| act.requests().count();
        let counts = acts.iter().map(|act| (count(act), deadly(act))).collect::<Vec<_>>();
        assert_eq!(counts, [(100, 0), (1600, 0), (600, 50), (600, 0), (100, 0)]);
    }
}
