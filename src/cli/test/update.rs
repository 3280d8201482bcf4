//! `--update`: what came is written where the test says something else. Only the values change; the rest of the file stays as it is.

use std::ops::Range;
use std::path::PathBuf;

use serde_json::Value;

use super::report::Report;
use crate::cli::exit::CommandError;
use crate::scenario::Verdict;

/// Writes what came into the files of the tests that failed. Returns the files.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write(report: &Report) -> Result<Vec<PathBuf>, CommandError> {
    let mut written = Vec::new();
    for suite in &report.suites {
        let Some(source) = suite.loaded.sources.0.first() else { continue };
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        for (place, verdict) in suite.verdicts() {
            let Verdict::Done(misses, _) = verdict else { continue };
            for miss in misses.iter().filter(|miss| !miss.was.is_null()) {
                if let Some(at) = suite.loaded.spans.own(&format!("/tests/{place}/expect/{}", miss.member)) {
                    edits.push((at.start..at.end, flow(&miss.was)));
                }
            }
        }
        if edits.is_empty() {
            continue;
        }
        // From the end, so that places stay what they are.
        edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        let mut text = source.text.clone();
        for (range, value) in edits {
            text.replace_range(range, &value);
        }
        std::fs::write(&source.path, text)
            .map_err(|error| CommandError::failure(format!("cannot write {}: {error}", source.path.display())))?;
        written.push(source.path.clone());
    }
    Ok(written)
}

/// Writes a value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => scalar(text),
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// Writes a text without quotes where that is the same.
fn scalar(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '%' | '$'))
        && text.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '$')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_as_it_was() {
        for value in [
            json!("openai/gpt-4o"),
            json!("none"),
            json!("no"),
            json!("$1.25"),
            json!("12%"),
            json!("a: b"),
            json!(["a/b", "c d", "# x", ""]),
            json!({"temperature": 0.5, "a b": [1, null, true]}),
            json!(429),
        ] {
            let read: Value = serde_yaml::from_str(&format!("x: {}\n", flow(&value))).map(|read: Value| read["x"].clone()).unwrap();
            assert_eq!(read, value, "{}", flow(&value));
        }
        assert_eq!(flow(&json!(["openai/gpt-4o", "$1"])), "[openai/gpt-4o, $1]");
    }
}
