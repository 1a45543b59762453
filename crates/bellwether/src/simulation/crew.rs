//! The handlers of a simulated pool: who is free, who has nothing to do, who is on the way.

use std::collections::BTreeSet;

use rand::RngExt;

use super::{Order, Random};

/// Handlers by slot; the lowest vacant slot is filled first.
pub(super) struct Crew {
    slots: Vec<Slot>,
    threads: usize,
    order: Order,
    /// Who has a free thread, in the order in which they take requests.
    free: BTreeSet<(u64, usize)>,
    /// Who serves nothing, those on their way included.
    idle: BTreeSet<usize>,
    vacant: BTreeSet<usize>,
    ready: usize,
    starting: usize,
    busy: usize,
    /// Counts who became free, for the order of turns.
    turns: u64,
    random: Random,
}

/// Tells an occupant of a slot from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) slot: usize,
    number: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    is_ready: bool,
    busy: usize,
    /// Its place among those who are free.
    place: u64,
}

impl Crew {
    pub(super) fn new(threads: usize, order: Order, random: Random) -> Self {
        Self {
            slots: Vec::new(),
            threads: threads.max(1),
            order,
            free: BTreeSet::new(),
            idle: BTreeSet::new(),
            vacant: BTreeSet::new(),
            ready: 0,
            starting: 0,
            busy: 0,
            turns: 0,
            random,
        }
    }

    pub(super) const fn ready(&self) -> usize {
        self.ready
    }

    pub(super) const fn starting(&self) -> usize {
        self.starting
    }

    /// Threads that serve.
    pub(super) const fn busy(&self) -> usize {
        self.busy
    }

    /// Handlers that are ready or on their way.
    pub(super) const fn alive(&self) -> usize {
        self.ready + self.starting
    }

    /// Threads that wait for requests.
    pub(super) const fn free_threads(&self) -> usize {
        self.ready * self.threads - self.busy
    }

    /// Begins to make a handler.
    pub(super) fn spawn(&mut self) -> Ticket {
        let index = self.vacant.pop_first().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        *slot = Slot { number: slot.number + 1, ..Slot::default() };
        self.idle.insert(index);
        self.starting += 1;
        Ticket { slot: index, number: slot.number }
    }

    /// A handler is ready; `false`: it has been dismissed meanwhile.
    pub(super) fn arrive(&mut self, ticket: Ticket) -> bool {
        let slot = &mut self.slots[ticket.slot];
        let is_awaited = slot.number == ticket.number && !slot.is_ready;
        if is_awaited && self.idle.contains(&ticket.slot) {
            slot.is_ready = true;
            self.starting -= 1;
            self.ready += 1;
            self.line_up(ticket.slot);
            return true;
        }
        false
    }

    /// Gives a request to whoever is next; `None`: no thread is free.
    pub(super) fn take(&mut self) -> Option<usize> {
        let (_, index) = self.free.pop_first()?;
        self.slots[index].busy += 1;
        self.busy += 1;
        self.idle.remove(&index);
        if self.slots[index].busy < self.threads {
            self.line_up(index);
        }
        Some(index)
    }

    /// A thread of a handler has finished its request.
    pub(super) fn finish(&mut self, index: usize) {
        let (was_full, place) = (self.slots[index].busy == self.threads, self.slots[index].place);
        self.slots[index].busy -= 1;
        self.busy -= 1;
        if !was_full {
            self.free.remove(&(place, index));
        }
        if self.slots[index].busy == 0 {
            self.idle.insert(index);
        }
        self.line_up(index);
    }

    fn line_up(&mut self, index: usize) {
        self.turns += 1;
        let place = match self.order {
            Order::Lowest => index as u64,
            Order::Turn => self.turns,
            Order::Random => self.random.random(),
        };
        self.slots[index].place = place;
        self.free.insert((place, index));
    }

    /// Lets so many go that serve nothing, the highest slots first; returns how many went.
    pub(super) fn dismiss(&mut self, many: usize) -> usize {
        let leaving: Vec<_> = self.idle.iter().rev().take(many).copied().collect();
        for &index in &leaving {
            let slot = self.slots[index];
            if slot.is_ready {
                self.ready -= 1;
                self.free.remove(&(slot.place, index));
            } else {
                self.starting -= 1;
            }
            self.idle.remove(&index);
            self.vacant.insert(index);
        }
        leaving.len()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn crew(order: Order, threads: usize, handlers: usize) -> Crew {
        let mut crew = Crew::new(threads, order, Random::seed_from_u64(1));
        for _ in 0..handlers {
            let ticket = crew.spawn();
            assert!(crew.arrive(ticket));
        }
        crew
    }

    #[test]
    fn the_lowest_slot_takes_a_request_or_each_in_turn() {
        let mut packed = crew(Order::Lowest, 1, 3);
        assert_eq!(packed.take(), Some(0));
        packed.finish(0);
        assert_eq!((packed.take(), packed.take()), (Some(0), Some(1)));
        let mut turns = crew(Order::Turn, 1, 3);
        assert_eq!(turns.take(), Some(0));
        turns.finish(0);
        assert_eq!((turns.take(), turns.take(), turns.take()), (Some(1), Some(2), Some(0)));
        assert_eq!(turns.take(), None);
    }

    #[test]
    fn idle_handlers_go_from_the_highest_slot_and_busy_ones_stay() {
        let mut crew = crew(Order::Lowest, 1, 3);
        let late = crew.spawn();
        assert_eq!(crew.take(), Some(0));
        assert_eq!(crew.dismiss(9), 3);
        assert_eq!((crew.alive(), crew.busy()), (1, 1));
        assert!(!crew.arrive(late), "who was dismissed on the way does not arrive");
        assert_eq!(crew.spawn().slot, 1, "the lowest vacant slot is filled");
    }

    #[test]
    fn a_handler_takes_as_many_requests_as_it_has_threads() {
        let mut crew = crew(Order::Lowest, 2, 2);
        let taken: Vec<_> = std::iter::from_fn(|| crew.take()).collect();
        assert_eq!(taken, [0, 0, 1, 1]);
        crew.finish(0);
        assert_eq!((crew.free_threads(), crew.dismiss(2)), (1, 0));
        crew.finish(0);
        assert_eq!(crew.dismiss(2), 1);
    }
}
