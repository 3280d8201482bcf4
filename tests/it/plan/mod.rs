//! The compiler, its checks and the diff, through their public functions.

mod compile;
mod expr;
mod support;
