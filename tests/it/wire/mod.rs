//! Formats against recorded traffic, and the laws of translation.

mod answers;
mod corpus;
mod requests;
mod said;
mod shape;
mod streams;
