//! From files to [`super::Spec`]: read, parse, include, overlay, interpolate, check, deserialise.
//!
//! One pass keeps the place of every value from its line in a file to the finding about it. All that is wrong comes out at once, in
//! file order, without consequences of what was reported already. Not the meaning: whether references exist is for
//! [`crate::plan`]. Rule: a value reaches the spec only through here, and no finding ever shows one.

mod check;
mod document;
mod include;
mod interpolate;
mod mask;
mod node;
#[cfg(test)]
mod oracle;
mod overlay;
mod parse;
mod prompt;
mod read;
mod scalar;
mod shape;
mod single;
mod syntax;
mod typed;

pub use document::{Document, document};
pub(super) use mask::secret_like;
pub use mask::{concealed, masked};
use node::Node;
use read::Reading;
pub use read::tidy;
use shape::{shape, test_shape};
pub use single::texts;
pub(super) use single::{parsed, section_rank};

use std::path::Path;

use super::{Diagnostic, Files, Inputs, Loaded, LoadedTests, Rejected, Severity, codes};

/// Loads a spec: its first file, what that includes, and its overlays.
///
/// Reads files through [`Inputs::files`] alone; does not read secrets. About 40 ms for 10,000 keys.
///
/// # Errors
/// Everything that is wrong, warnings included, in file order.
pub fn load(inputs: &Inputs<'_>) -> Result<Loaded, Rejected> {
    let mut reading = Reading::new(inputs.files);
    let Some(mut root) = merged(&mut reading, inputs) else {
        return Err(reject(reading));
    };
    interpolate::interpolate(&mut root, &mut reading, inputs);
    let prompts = prompt::read(&mut root, &mut reading);
    let lowered = node::lower(&root);
    mask::sensitive(&root, &mut reading.sources);
    check::check(&root, &lowered, &mut reading, shape());
    if refuses(&reading.found) {
        return Err(reject(reading));
    }
    let Some(spec) = typed::deserialise(&lowered, &mut reading.found, shape()) else {
        return Err(reject(reading));
    };
    sort(&mut reading.found);
    let node::Lowered { value, spans } = lowered;
    Ok(Loaded { spec, value, spans, sources: reading.sources, warnings: reading.found, prompts })
}

/// Loads a file of tests.
///
/// # Errors
/// Everything that is wrong, in file order.
pub fn load_tests(files: &dyn Files, path: &Path) -> Result<LoadedTests, Rejected> {
    let mut reading = Reading::new(files);
    let Some(root) = reading.open(path, None).and_then(|index| {
        let text = reading.source(index).map(|source| source.text.clone()).unwrap_or_default();
        parse::parse(&text, index, &mut reading.found)
    }) else {
        return Err(reject(reading));
    };
    let lowered = node::lower(&root);
    check::check(&root, &lowered, &mut reading, test_shape());
    if refuses(&reading.found) {
        return Err(reject(reading));
    }
    match typed::deserialise(&lowered, &mut reading.found, test_shape()) {
        Some(file) => Ok(LoadedTests { file, value: lowered.value, spans: lowered.spans, sources: reading.sources }),
        None => Err(reject(reading)),
    }
}

/// Reads the files and lays them over one another. Nothing when none could be read.
fn merged(reading: &mut Reading<'_>, inputs: &Inputs<'_>) -> Option<Node> {
    let mut layers: Vec<Option<Node>> = inputs.paths.iter().map(|path| include::layer(reading, path, inputs.paths)).collect();
    let mut found = Vec::new();
    let mut merged = layers.first_mut().and_then(Option::take);
    for layer in layers.into_iter().flatten() {
        let base = merged.take().unwrap_or_else(|| Node::new(node::Kind::Map(Vec::new()), layer.at));
        merged = Some(overlay::overlay(base, layer, &mut found));
    }
    // What an overlay deletes may stand in a file that could not be read.
    if !reading.incomplete {
        reading.found.append(&mut found);
    }
    merged
}

fn refuses(found: &[Diagnostic]) -> bool {
    found.iter().any(|found| found.severity == Severity::Error)
}

fn sort(found: &mut Vec<Diagnostic>) {
    found.sort_by(|a, b| (a.location, a.code, &a.message).cmp(&(b.location, b.code, &b.message)));
    // What an alias repeats is wrong in the same words at the same place.
    found.dedup_by(|a, b| (a.location, a.code, &a.message) == (b.location, b.code, &b.message));
}

/// Most problems that are told at once: more than anybody mends before the next run, and few enough to be told quickly.
const MOST_TOLD: usize = 500;

fn reject(mut reading: Reading<'_>) -> Rejected {
    sort(&mut reading.found);
    let total = reading.found.len();
    if total > MOST_TOLD {
        // Warnings are the first to go; there is an error, or nothing would be refused.
        reading.found.retain(|found| found.severity == Severity::Error);
        reading.found.truncate(MOST_TOLD);
        let more = total - reading.found.len();
        reading.found.push(Diagnostic::error(codes::TOO_MANY, format!("{more} further problems are not shown")));
    }
    Rejected { sources: reading.sources, diagnostics: reading.found }
}
