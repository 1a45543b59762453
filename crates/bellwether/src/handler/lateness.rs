//! Whether a connection has waited too long to be on time, or to be served at all.

use std::time::Duration;

use super::connection::Connection;
use super::post::{Order, Post};

impl Post {
    /// Tells whether a connection has waited longer than it should have.
    ///
    /// Never of a Unix socket, whose wait the kernel does not tell.
    pub(super) fn is_late(&self, connection: &Connection) -> bool {
        is_above(Some(self.slo_wait), connection.waited())
    }

    /// Tells whether a connection has waited so long that it is to be sent away.
    ///
    /// Only late ones are, whatever the spawner says; and nobody is once the handler was told to
    /// leave: what it then takes out of the buffers is to be served.
    pub(super) fn sheds(&self, connection: &Connection) -> bool {
        is_above(self.control.shed_above(), connection.waited())
            && self.is_late(connection)
            && self.heard() == Order::Serve
    }
}

fn is_above(most: Option<Duration>, waited: Option<Duration>) -> bool {
    most.zip(waited).is_some_and(|(most, waited)| waited > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_not_known_is_above_nothing() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let check = |most, waited, expected| {
            assert_eq!(is_above(most, waited), expected, "{waited:?} of {most:?}");
        };
        check(ms(50), ms(51), true);
        check(ms(50), ms(50), false);
        check(ms(50), ms(0), false);
        check(ms(50), None, false);
        check(None, ms(10_000), false);
        check(None, None, false);
    }
}
