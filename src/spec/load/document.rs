//! Files that are no specs: what another program's YAML or JSON says, with the place of every value.
//!
//! Not a check of what they hold: that is for whoever knows the other program. Rule: read by the same pass as a spec, so that places,
//! budgets and what is refused are the same.

use std::path::Path;

use serde_json::Value;

use super::read::Reading;
use super::{node, parse, refuses, reject};
use crate::spec::{Files, Rejected, Source, Sources, Spans};

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it holds, in its order.
    pub value: Value,
    /// Where each value stands.
    pub spans: Spans,
    /// The file.
    pub sources: Sources,
}

/// Reads one file of YAML or JSON, whatever it is about. Nothing is included, interpolated or masked.
///
/// # Errors
/// Everything that is wrong with its syntax, in file order.
pub fn document(files: &dyn Files, path: &Path) -> Result<Document, Rejected> {
    let flat = Flat(files);
    let mut reading = Reading::new(&flat);
    let root = reading.open(path, None).and_then(|index| {
        let text = reading.source(index)?.text.clone();
        parse::parse(&text, index, &mut reading.found)
    });
    match root {
        Some(root) if !refuses(&reading.found) => {
            let node::Lowered { value, spans } = node::lower(&root);
            Ok(Document { value, spans, sources: reading.sources })
        }
        Some(_) | None => {
            // Nobody knows what of such a file is a secret.
            for source in &mut reading.sources.0 {
                conceal(source);
            }
            Err(reject(reading))
        }
    }
}

/// Hides a text but for its shape, so that a report shows places and no values.
fn conceal(source: &mut Source) {
    source.redacted = std::iter::once(0..source.text.len()).collect();
}

/// Files with the tabs of JSON's indentation as spaces, which YAML takes at no beginning of a line.
struct Flat<'f>(&'f dyn Files);

impl Files for Flat<'_> {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let mut bytes = self.0.read(path)?;
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if matches!(first, Some(b'{' | b'[')) {
            flatten(&mut bytes);
        }
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
        self.0.list(dir)
    }
}

/// Puts a space for each tab outside of quotes; no byte moves.
fn flatten(bytes: &mut [u8]) {
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        match *byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'\t' if !quoted => *byte = b' ',
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::Memory;

    fn read(text: &str) -> Result<Document, Rejected> {
        let files = Memory([("x".into(), text.as_bytes().to_vec())].into());
        document(&files, Path::new("x"))
    }

    #[test]
    fn json_is_read_with_its_places_whatever_indents_it() {
        let document = read("{\n\t\"a\": {\n\t\t\"b\": \"x\\ty\\u00e9\\ud83d\\ude00\\/\"\n\t},\n\t\"c\": [1,\t2]\n}\n").unwrap();
        assert_eq!(document.value, json!({"a": {"b": "x\tyé😀/"}, "c": [1, 2]}));
        let place = document.spans.own("/a/b").and_then(|at| document.sources.line_column(at));
        assert_eq!(place, Some((3, 8)));
    }

    #[test]
    fn what_is_wrong_is_told_without_what_the_file_holds() {
        let rejected = read("api_key: hunter2\napi_key: hunter3\n").unwrap_err();
        assert!(!rejected.diagnostics.is_empty());
        let shown = crate::spec::report::human(&rejected.diagnostics, &rejected.sources, false);
        assert!(shown.contains("x:2:1") && !shown.contains("hunter"), "{shown}");
    }
}
