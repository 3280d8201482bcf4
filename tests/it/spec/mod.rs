//! Specs: loading, what is accepted, what is refused and where; schema, reports, examples.

mod canary;
mod corpus;
mod edit;
mod examples;
mod format;
mod good;
mod load;
mod nasty;
pub(crate) mod reference;
mod report;
mod schema;
mod support;
mod yaml;
