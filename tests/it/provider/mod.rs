//! The outbound client against raw TCP peers, and secrets from real files.

mod auth;
mod client;
mod destination;
mod faults;
pub(crate) mod peer;
mod secret;
mod tls;
