//! Formats against recorded traffic, and the laws of translation.

mod answers;
mod bedrock;
mod cohere;
mod corpus;
mod embeddings;
mod estimate;
mod fragments;
mod fuzzed;
mod gemini;
mod grammar;
mod ollama;
mod requests;
mod responses;
mod responses_streams;
mod rules;
mod said;
mod shape;
mod shape_bedrock;
mod shape_cohere;
mod shape_ollama;
mod streams;

#[path = "../../fuzz/src/laws.rs"]
mod laws;
