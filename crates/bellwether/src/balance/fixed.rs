//! Always the same number of handlers.

use super::parameter::{MOST, Named, Parameter};
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

impl Named for Fixed {
    const NAME: &'static str = "fixed";
    const ABOUT: &'static str = "Always the same number of handlers.";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        vec![Parameter::count("handlers", "how many, to be given", 1..=MOST, &mut self.0)]
    }

    fn contradiction(&self) -> Option<String> {
        (self.0 == 0).then(|| String::from("it needs the number of handlers, like fixed:4"))
    }
}
