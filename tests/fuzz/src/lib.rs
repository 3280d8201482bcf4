//! The fuzzer's package: the laws, and what they share with the tests of the formats.

mod laws;
#[path = "../../it/wire/said.rs"]
#[allow(dead_code)]
mod said;

pub use laws::hold;
