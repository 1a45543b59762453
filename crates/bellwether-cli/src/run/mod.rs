//! `bellwether run -- CMD`: servers that know nothing of bellwether, as handlers.
//!
//! A program that nobody changed has its own idea of where its listening socket comes from, how
//! many processes it is, and by which signal it ends without dropping anybody. What is known about
//! that is data: a [`recipe`] for each program, in a file that everybody can read and extend.
//! Recipes only say what to start, and [`identity`] as whom; [`command`] makes a pool of it.

pub(crate) mod command;
pub(crate) mod identity;
pub(crate) mod plan;
pub(crate) mod recipe;
mod rights;
pub(crate) mod start;
