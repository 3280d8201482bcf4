//! The last net: JSON into the types. What the schema let through and a type refuses still gets its place.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::node::{Lowered, dotted, push, shown_pointer};
use super::shape::Shape;
use crate::spec::Diagnostic;
use crate::spec::codes;

/// Deserialises what has the shape; reports why when it cannot.
pub(super) fn deserialise<T: DeserializeOwned>(lowered: &Lowered, found: &mut Vec<Diagnostic>, shape: &Shape) -> Option<T> {
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
        let message = format!("`{}` must be {}", dotted(&pointer), shape.at(&pointer).expected());
        let problem = Diagnostic::error(codes::UNFIT, message).at(lowered.spans.value(&pointer)).pointer(shown_pointer(&pointer));
        let problem = match masked(&error.inner().to_string()) {
            Some(expected) => problem.help(expected),
            None => problem,
        };
        if lowered.spans.is_unresolved(&pointer) {
            return problem.help("the field cannot be checked without the environment variable that it takes its value from");
        }
        problem
    };
    serde_path_to_error::deserialize(&lowered.value).map_err(|error| found.push(explain(error))).ok()
}

/// Keeps what a type of ours expected and drops what was found, which may be a secret; serde's own words say less than the schema.
fn masked(message: &str) -> Option<String> {
    let of_serde = ["invalid ", "unknown ", "missing ", "duplicate "].iter().any(|begin| message.starts_with(begin));
    let at = message.find("expected ").filter(|_| !of_serde)?;
    message.get(at..).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_found_is_not_repeated() {
        assert_eq!(masked("invalid value: string \"sk-very-secret\", expected u32"), None);
        assert_eq!(masked("duplicate field `sk-very-secret`"), None);
        assert_eq!(masked("sk-very-secret: expected `provider/model`"), Some("expected `provider/model`".to_owned()));
    }
}
