//! Formats against recorded traffic, and the laws of translation.

mod corpus;
mod requests;
