//! The one integration-test binary: every area is a module, so that the crate links once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod architecture;
mod catalog;
mod cli;
mod control;
mod docs;
mod import;
mod kits;
mod ledger;
mod limit;
mod load;
mod mock;
mod pipeline;
mod plan;
mod provider;
mod scenario;
mod server;
mod spec;
mod store;
mod table;
mod telemetry;
mod wire;
