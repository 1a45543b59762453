//! What a handler makes of a closed channel: an order to leave, or a spawner that is gone.

use std::time::Duration;

use super::post::{Order, Post};
use crate::notification::{Place, Waiter};
use crate::sys::{clock, parent};

/// Whether, and until when, a thread goes on accepting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The spawner is there.
    Unbounded,
    /// The spawner is gone; a successor may come until then (time since boot).
    Orphaned(Duration),
}

impl Patience {
    /// Reads a closed channel: `Err` is the order to leave.
    ///
    /// When the spawner has died, its handlers serve on for the orphan grace, so that no client
    /// notices while a successor starts.
    pub(crate) fn after_hang_up<'a, P: Place<'a>>(
        post: &'a Post,
        waiter: &Waiter<P>,
    ) -> Result<Self, Order> {
        let order = post.order_at_the_end();
        if order != Order::Serve {
            return Err(order);
        }
        // A closed channel stays readable for ever; waiting for it would be spinning.
        waiter.not_any_more(&post.channel).map_err(|_| Order::Leave)?;
        parent::bereaved(); // in case that the kernel's word for it did not reach us
        Ok(Self::Orphaned(clock::now().saturating_add(post.orphan_grace)))
    }

    /// Returns how long the next wait may take; `Err` when time is up.
    pub(crate) fn left(self) -> Result<Option<Duration>, Order> {
        match self {
            Self::Unbounded => Ok(None),
            Self::Orphaned(until) => match until.checked_sub(clock::now()) {
                Some(left) if !left.is_zero() => Ok(Some(left)),
                _ => Err(Order::Leave),
            },
        }
    }
}
