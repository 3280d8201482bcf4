//! The data plane against the mock upstream: what the client sees, and what really went upstream.

mod anonymous;
mod balance;
mod chaos;
mod cloud;
mod explain;
mod failover;
mod failover_table;
mod fidelity;
mod gone;
mod harness;
mod health;
mod kept_out;
mod lanes;
mod limits;
mod limits_of_chains;
mod log;
mod matrix;
mod models;
mod money;
mod native;
mod operations;
mod passing;
mod relay;
mod rules;
mod scenarios;
mod templates;
