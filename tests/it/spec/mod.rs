//! Loading specs: what is accepted, what is refused and where.

mod corpus;
mod load;
mod report;
mod schema;
mod support;
mod yaml;
