//! Metrics and access log, from the outside.

mod access;
mod metrics;
