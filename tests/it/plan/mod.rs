//! The compiler, its checks and the diff, through their public functions.

mod checks;
mod compile;
mod diff;
mod diff_judgement;
mod diff_laws;
mod expr;
mod generate;
mod laws;
pub(crate) mod prepared;
mod priced;
pub(crate) mod support;
