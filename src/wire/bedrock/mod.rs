//! AWS Bedrock's Converse and ConverseStream.
//!
//! Source: the service's model of 2023-09-30, and recorded traffic. Not `InvokeModel`, whose bodies are those of each model's maker.

mod answer;
mod codec;
mod error;
mod events;
mod media;
mod models;
mod request;

pub(in crate::wire) use request::decode_count;

pub use codec::{Bedrock, path};
pub use error::{ERROR_TYPE, error_type};
