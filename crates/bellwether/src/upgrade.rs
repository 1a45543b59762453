//! What a program should know when it takes the place of another in a serving process.
//!
//! Most programs need none of it: whatever goes wrong in [`Builder::open`](crate::Builder::open),
//! [`Group::open`](crate::Group::open) or `run` brings the program from before back.

use crate::spawner::handover::{self, Baton};

/// Makes way for the program from before, if this one has just taken its place.
///
/// For a program that fails before it opens its addresses. `problem` is what whoever asked for
/// the upgrade is told. Returns where there is nothing to go back to.
///
/// ```
/// # fn configuration() -> Result<(), String> { Ok(()) }
/// if let Err(problem) = configuration() {
///     bellwether::upgrade::go_back(&problem);
///     eprintln!("{problem}");
/// }
/// ```
pub fn go_back(problem: &str) {
    handover::go_back(problem);
}

/// Returns the text that this program was configured by, when it comes back because a newer one
/// has failed; otherwise its configuration is to be read as always.
///
/// The text is what [`Builder::configuration`](crate::Builder::configuration) was given.
///
/// ```
/// let text = bellwether::upgrade::configuration_before();
/// let text = text.or_else(|| std::fs::read_to_string("shop.conf").ok());
/// ```
#[must_use]
pub fn configuration_before() -> Option<String> {
    let change = Baton::look_at().ok()??.change;
    change.problem.and(change.configuration)
}
