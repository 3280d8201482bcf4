//! Reports: one look per format, every awkward text, and what no report may do.

mod formats;
mod laws;
mod pictures;

use bifrostctl::base::Digest;
use bifrostctl::spec::{Diagnostic, Location, Source, Sources};

/// Makes sources from paths and texts.
pub(super) fn sources(files: &[(&str, &str)]) -> Sources {
    let source = |(path, text): &(&str, &str)| Source {
        path: path.into(),
        text: (*text).to_owned(),
        digest: Digest::of(text.as_bytes()),
        redacted: Vec::new(),
    };
    Sources(files.iter().map(source).collect())
}

/// Finds a text in a file.
pub(super) fn at(sources: &Sources, file: usize, needle: &str) -> Location {
    let start = sources.0[file].text.find(needle).unwrap();
    Location { file, start, end: start + needle.len() }
}

/// Shows what a person would see, without colour.
pub(super) fn human(diagnostic: Diagnostic, sources: &Sources) -> String {
    bifrostctl::spec::report::human(&[diagnostic], sources, false)
}
