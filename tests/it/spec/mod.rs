//! Specs: loading, what is accepted, what is refused and where; schema, reports, examples.

mod canary;
mod corpus;
mod examples;
mod good;
mod load;
pub(crate) mod reference;
mod report;
mod schema;
mod support;
mod yaml;
