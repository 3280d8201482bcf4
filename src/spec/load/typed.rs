//! The last net: JSON into the types. What the schema let through and a type refuses still gets its place.

use serde_path_to_error::Segment;

use super::node::{Lowered, dotted, push, shown_pointer};
use crate::spec::codes;
use crate::spec::{Diagnostic, Spec};

/// Deserialises the spec; reports why when it cannot.
pub(super) fn deserialise(lowered: &Lowered, found: &mut Vec<Diagnostic>) -> Option<Spec> {
    let explain = |error: serde_path_to_error::Error<serde_json::Error>| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => push(&mut pointer, &index.to_string()),
                Segment::Map { key } => push(&mut pointer, key),
                Segment::Enum { variant } => push(&mut pointer, variant),
                Segment::Unknown => {}
            }
        }
        let message = format!("`{}` {}", dotted(&pointer), masked(&error.inner().to_string()));
        let problem = Diagnostic::error(codes::UNFIT, message).at(lowered.spans.value(&pointer)).pointer(shown_pointer(&pointer));
        if lowered.spans.is_unresolved(&pointer) {
            return problem.help("the field cannot be checked without the environment variable that it takes its value from");
        }
        problem
    };
    serde_path_to_error::deserialize(&lowered.value).map_err(|error| found.push(explain(error))).ok()
}

/// Keeps what serde expected and drops what it found, which may be a secret.
fn masked(message: &str) -> String {
    match message.find("expected ") {
        Some(at) => format!("does not fit: {}", message.get(at..).unwrap_or_default()),
        None => "does not fit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_found_is_not_repeated() {
        let message = masked("invalid value: string \"sk-very-secret\", expected u32");
        assert_eq!(message, "does not fit: expected u32");
        assert_eq!(masked("duplicate field `sk-very-secret`"), "does not fit");
    }
}
