//! bifrostctl: an LLM gateway that is reviewed like code.
//!
//! One YAML spec of providers, model aliases, rules and virtual keys is compiled by pure code into a [`plan::Plan`], and the
//! plan is built into an immutable [`table::RoutingTable`] that the data plane reads through one atomic pointer. The binary
//! is both the control tool (`validate`, `diff`, `apply`, …) and the gateway process (`serve`).
//!
//! # Map
//! A module may use only modules of a smaller rank; `tests/it/architecture.rs` enforces it.
//!
//! | rank | module | is |
//! |---|---|---|
//! | 0 | [`base`] | newtypes: durations, sizes, digests, clock, secrets |
//! | 1 | [`error`] | the data plane's one error: kind, retry class, public message, private detail |
//! | 2 | [`wire`] | provider formats, pure: frames, byte edits, stream watchers, error classes |
//! | 3 | [`spec`] | what the user wrote: types with positions, loader, diagnostics, schema |
//! | 4 | [`catalog`] | provider presets, embedded data |
//! | 5 | [`plan`] | spec + catalog → resolved, checked plan; lints; diff |
//! | 6 | [`import`] | configurations of other gateways → a spec and findings; pure |
//! | 6 | [`telemetry`] | every metric name, access log, process log |
//! | 6 | [`store`] | durable state: revisions |
//! | 7 | [`provider`] | outbound client, credentials, cooldowns, breakers |
//! | 7 | [`limit`] | budgets: reserve, settle; rates (GCRA) and permits of keys, teams, aliases and providers |
//! | 7 | [`server`] | accept loop over hyper: timers, caps, strict gate, drain; knows nothing of LLMs |
//! | 7 | [`mock`] | the deterministic upstream with scripted faults |
//! | 8 | [`table`] | plan + services → routing table; `decide` |
//! | 9 | [`pipeline`] | one request, in order |
//! | 10 | [`control`] | the process around the pipeline: reload (the only writer), watch, admin API |
//! | 10 | [`scenario`] | requests through the pipeline with scripted providers, in a time of their own: tests of a spec |
//! | 11 | [`cli`] | one file per command; the only module that prints |

pub mod base;
pub mod catalog;
pub mod cli;
pub mod control;
pub mod error;
pub mod import;
pub mod limit;
pub mod mock;
pub mod pipeline;
pub mod plan;
pub mod provider;
pub mod scenario;
pub mod server;
pub mod spec;
pub mod store;
pub mod table;
pub mod telemetry;
pub mod wire;
