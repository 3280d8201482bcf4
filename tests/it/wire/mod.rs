//! Formats against recorded traffic, and the laws of translation.

mod answers;
mod corpus;
mod embeddings;
mod fragments;
mod gemini;
mod grammar;
mod requests;
mod responses;
mod responses_streams;
mod rules;
mod said;
mod shape;
mod streams;
