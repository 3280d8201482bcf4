//! The deterministic upstream: a server on loopback whose faults are scripted and whose requests are recorded. It speaks OpenAI's API, and
//! the other formats that the gateway translates: theirs are written from OpenAI's by the gateway's own codecs.
//!
//! It is what tests, `bifrostctl mock` and `base_url: "mock:"` talk to. It speaks HTTP/1.1 on raw TCP because its faults need single
//! bytes. It is not a model, and not a server for anything but loopback: no TLS, no authentication, no limits on who may ask.
//!
//! Rule: the same request number, seed and request give the same bytes. What is not a fault is what the official SDKs parse.
//!
//! # Faults
//! Three carriers, the first that is there wins: the request header `x-mock-fault`, the model's suffix (`NAME@status=429;retry_after=2`),
//! the [`Script`]. All three say the same thing, a [`Behaviour`]; its fields are the words of the grammar.

mod behaviour;
mod connection;
mod deliver;
mod dialect;
mod grammar;
mod http;
mod openai;
mod plan;
mod record;
mod script;
mod serve;
mod wire;

pub use behaviour::{At, Behaviour, Failure, Framing};
pub use grammar::FaultError;
pub use record::{Ending, Recorded};
pub use script::{Rule, Script, ScriptError, When};
pub use serve::{Config, LocalMock, Mock};
