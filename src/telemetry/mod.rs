//! Metrics, access log, process log.
//!
//! What it is not: a place where anything is decided. Rule: recording never blocks a request, never allocates per label and
//! never sees a key, a prompt or a body.

mod access;
mod config;
mod entry;
mod handle;
pub mod log;
mod metrics;
pub mod names;
mod request_id;
mod series;
mod source;

pub use access::{AccessLog, Destination};
pub use config::ConfigMetrics;
pub use entry::{AccessEntry, AttemptEntry};
pub use handle::{AliasMetrics, EndpointMetrics, HedgeOutcome, Held, RuleMetrics, TargetMetrics};
pub use metrics::{CONTENT_TYPE, DIRECT, Endpoint, Metrics, NONE, OTHER, Queued};
pub use request_id::{RequestId, RequestIds};
pub use source::{BreakerState, CredentialState, Samples};
