//! Files as texts: each parsed by itself, and nothing said about what they mean together.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use super::read::Reading;
use super::shape::shape;
use super::{include, node, parse, reject};
use crate::spec::{Files, Rejected, Severity, Sources, Spans, codes};

/// Reads spec files and, with `included`, every file that they include; prompts are not spec files.
///
/// # Errors
/// Everything that is wrong with their syntax, and files that are not there.
pub fn texts(files: &dyn Files, paths: &[PathBuf], included: bool) -> Result<Sources, Rejected> {
    let mut reading = Reading::new(files);
    for path in paths {
        if included {
            include::layer(&mut reading, path, paths);
        } else if let Some(index) = reading.open(path, None) {
            include::file(&mut reading, index);
        }
    }
    // From there on it is about how files go together.
    reading.found.retain(|found| found.code < codes::INCLUDE_NESTED && found.severity == Severity::Error);
    if reading.found.is_empty() { Ok(reading.sources) } else { Err(reject(reading)) }
}

/// Parses a text into its value and the places in it; nothing where anything is wrong.
pub(in crate::spec) fn parsed(text: &str) -> Option<(Value, Spans)> {
    let mut found = Vec::new();
    let root = parse::parse(text, 0, &mut found)?;
    let sound = found.iter().all(|found| found.severity != Severity::Error);
    let node::Lowered { value, spans } = node::lower(&root);
    sound.then_some((value, spans))
}

/// Returns where a section of the top level stands in the schema's order; behind all others what the schema does not know.
pub(in crate::spec) fn section_rank(name: &str) -> usize {
    static ORDER: OnceLock<Vec<&'static str>> = OnceLock::new();
    let order = ORDER.get_or_init(|| shape().top().fields());
    order.iter().position(|known| *known == name).unwrap_or(order.len())
}
