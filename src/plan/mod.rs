//! Spec + catalogue → [`Plan`]: resolved, defaulted, checked. Pure: no clock, no environment, no network.
//!
//! Rule: what `validate` accepts is what `apply` compiles. Every reference in a plan resolves; the same input gives the same
//! digest; comparing two plans is comparing two JSON trees ([`Plan::model`]).

mod canonical;
mod check;
pub mod codes;
mod compile;
mod credential;
pub mod diff;
pub mod expr;
mod finding;
mod model;
mod types;

pub use compile::{Compiled, compile, compile_anyway, compile_at};
pub use types::*;
