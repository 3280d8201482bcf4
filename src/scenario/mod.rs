//! Scenarios: requests through the whole data path, with providers that answer by script, in a time of their own. What `bifrostctl test` runs.
//!
//! Nothing is imitated but what lies outside: the network (the mock answers, in this process), the time (it stands still while anybody
//! works, and jumps to the next timer when all wait), secrets, and what was spent before. Decision, limits, budgets, attempts, translation
//! and settlement are those of `serve`. Rule: the same spec, tests and seed give the same outcome on every machine.

mod cover;
mod judge;
mod outcome;
mod request;
mod run;
mod seen;
mod upstreams;
mod world;

pub use cover::{Coverage, Part};
pub use judge::Miss;
pub use request::question;
pub use run::{Ran, Verdict, run};
pub use seen::{Seen, Tried};
pub use world::{Unready, World, table};
