//! The control page: what the spawner tells its handlers; read-only for them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use crate::sys::memory::{self, Page, View};

/// The most slots that a pool can have.
pub(crate) const MAX_SLOTS: usize = 4096;

const HANDLERS: usize = 0;
const ORDERS: usize = 8;
const WORDS: usize = ORDERS + MAX_SLOTS;

/// The low bits of an order's word; above them stands the ticket.
const ORDER_BITS: u32 = 2;
const SERVE: u64 = 0;
const LEAVE: u64 = 1;
const FINISH: u64 = 2;

/// What the handler in a slot is to do.
///
/// In the page it stands beside the ticket of the slot's rightful occupant, so that a process
/// which the spawner has given up does not take the orders of its successor for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Wait, accept, serve.
    Serve,
    /// Finish what was accepted, accept nothing more, leave.
    Leave,
    /// Empty the buffer, finish, leave.
    Finish,
}

/// The spawner's side: the one writable mapping there will ever be.
pub(crate) struct ControlPage {
    page: Page,
    fd: OwnedFd,
}

impl ControlPage {
    /// Creates the page, maps it writable here alone, and seals it against all others.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = memory::file("bellwether-control", WORDS)?;
        let page = Page::map(&fd, WORDS)?.hidden_from_children()?;
        memory::seal_for_readers(&fd)?;
        Ok(Self { page, fd })
    }

    /// Maps the page read-only, for a process that was forked from this one.
    pub(crate) fn view(&self) -> io::Result<ControlView> {
        View::map(&self.fd, WORDS).map(ControlView)
    }

    /// Returns the sealed file behind the page.
    pub(crate) const fn file(&self) -> &OwnedFd {
        &self.fd
    }

    /// Tells the handler with this ticket in `slot` what to do.
    pub(crate) fn order(&self, slot: usize, ticket: u64, order: Order) {
        let word = match order {
            Order::Serve => SERVE,
            Order::Leave => LEAVE,
            Order::Finish => FINISH,
        };
        self.page[ORDERS + slot].store(ticket << ORDER_BITS | word, Ordering::Release);
    }

    /// Tells all handlers how many of them serve.
    pub(crate) fn set_handlers(&self, handlers: usize) {
        self.page[HANDLERS].store(handlers as u64, Ordering::Relaxed);
    }
}

/// A handler's side.
pub(crate) struct ControlView(View);

impl ControlView {
    /// Returns what the handler with this ticket in `slot` is to do.
    pub(crate) fn order(&self, slot: usize, ticket: u64) -> Order {
        let word = self.0.get(ORDERS + slot);
        match word & ((1 << ORDER_BITS) - 1) {
            _ if word >> ORDER_BITS != ticket => Order::Leave,
            SERVE => Order::Serve,
            FINISH => Order::Finish,
            _ => Order::Leave,
        }
    }

    /// Returns how many handlers serve, at least 1.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))] // only the gate asks
    pub(crate) fn handlers(&self) -> u64 {
        self.0.get(HANDLERS).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reaches_its_slot_alone() {
        let page = ControlPage::new().unwrap();
        let view = page.view().unwrap();
        page.order(2, 7, Order::Serve);
        page.order(3, 8, Order::Finish);
        assert_eq!(view.order(3, 8), Order::Finish);
        assert_eq!(view.order(2, 7), Order::Serve);
    }

    #[test]
    fn whoever_is_not_the_rightful_occupant_is_to_leave() {
        let page = ControlPage::new().unwrap();
        let view = page.view().unwrap();
        page.order(3, 8, Order::Serve);
        assert_eq!(view.order(3, 7), Order::Leave);
    }

    #[test]
    fn nobody_else_can_write_the_control_page() {
        let page = ControlPage::new().unwrap();
        assert!(Page::map(&page.fd, WORDS).is_err());
    }
}
