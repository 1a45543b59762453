//! Always the same number of handlers.

use super::{Balance, Decision, Reading};

/// Keeps a fixed number of handlers, whatever the load.
///
/// ```
/// use bellwether::balance::{Balance, Fixed, Reading};
/// assert_eq!(Fixed::new(4).decide(&Reading::default()).target, 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(usize);

impl Fixed {
    /// Keeps this many handlers.
    #[must_use]
    pub const fn new(handlers: usize) -> Self {
        Self(handlers)
    }
}

impl Balance for Fixed {
    fn decide(&mut self, _: &Reading) -> Decision {
        let plural = if self.0 == 1 { "" } else { "s" };
        Decision::new(self.0, format!("fixed: {} handler{plural}", self.0))
    }
}
