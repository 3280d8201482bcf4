//! The spec's language through its public functions: schema, loader, reports.

mod report;
mod schema;
mod yaml;
