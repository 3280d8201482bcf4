//! Ollama's own chat.
//!
//! Source: the types of the server and of its Python client 0.6, and recorded traffic. Not its OpenAI endpoint, which is another format.

mod answer;
mod codec;
mod error;
mod lines;
mod message;
mod request;

pub use codec::Ollama;
