//! `--update`: what came is written where the test says something else. Only the values change; the rest of the file stays as it is.
//!
//! Rule: what is written reads as what came, in its place and in no other; what cannot be written so is left alone, and said.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::report::{Report, Suite};
use crate::base::visible;
use crate::cli::exit::CommandError;
use crate::control;
use crate::scenario::{Miss, Verdict};
use crate::spec::{Disk, Files as _, LoadedTests, Memory, load_tests};

/// What became of the files.
#[derive(Debug, Default)]
pub(super) struct Updated {
    /// Those that say something else now.
    pub(super) files: Vec<PathBuf>,
    /// What they still say otherwise than it came: the place, and why.
    pub(super) left: Vec<String>,
}

/// Values for one place in a text.
struct Edit {
    range: Range<usize>,
    /// Whose they are, as JSON pointers: several tests share what has an anchor.
    pointers: Vec<String>,
    value: Value,
    /// Whether all of them say the same.
    is_one: bool,
}

/// Writes what came into the files of the tests that failed: all of them or none.
///
/// # Errors
/// A file that has changed meanwhile, or cannot be written.
pub(super) fn write(report: &Report) -> Result<Updated, CommandError> {
    let mut updated = Updated::default();
    let mut texts = Vec::new();
    for suite in &report.suites {
        let Some(source) = suite.loaded.sources.0.first() else { continue };
        let (edits, unsayable) = edits(suite);
        let (text, unwritten) = rewritten(&suite.loaded, &source.path, edits);
        let left = |pointer: &String, why: &str| told(suite, pointer, why);
        updated.left.extend(unsayable.iter().map(|pointer| left(pointer, "a test cannot say what came")));
        updated.left.extend(unwritten.iter().map(|pointer| left(pointer, "other tests share it through an anchor")));
        if text != source.text {
            texts.push((source.path.clone(), format!("{}{text}", mark(&source.path, &source.text)?)));
            updated.files.push(source.path.clone());
        }
    }
    control::replace(texts).map_err(CommandError::failure)?;
    Ok(updated)
}

/// Collects what is to be written, from the end of the text on, and what no test could say.
fn edits(suite: &Suite) -> (Vec<Edit>, Vec<String>) {
    let (mut edits, mut unsayable): (Vec<Edit>, Vec<String>) = (Vec::new(), Vec::new());
    let misses = suite.verdicts().flat_map(|(place, verdict)| match verdict {
        Verdict::Done(misses, _) => misses.iter().map(|miss| (place, miss)).collect::<Vec<(usize, &Miss)>>(),
        Verdict::Broken(..) => Vec::new(),
    });
    for (place, miss) in misses {
        let pointer = format!("/tests/{place}/expect/{}", miss.member);
        let Some(at) = suite.loaded.spans.own(&pointer).filter(|_| !miss.was.is_null()) else {
            unsayable.push(pointer);
            continue;
        };
        match edits.iter_mut().find(|edit| edit.range == (at.start..at.end)) {
            Some(edit) => {
                edit.is_one &= edit.value == miss.was;
                edit.pointers.push(pointer);
            }
            None => edits.push(Edit { range: at.start..at.end, pointers: vec![pointer], value: miss.was.clone(), is_one: true }),
        }
    }
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
    (edits, unsayable)
}

/// Writes values into a text; returns it with the places of those that cannot be written there.
fn rewritten(loaded: &LoadedTests, path: &Path, edits: Vec<Edit>) -> (String, Vec<String>) {
    let text = loaded.sources.0.first().map(|source| source.text.clone()).unwrap_or_default();
    let (all, split): (Vec<Edit>, Vec<Edit>) = edits.into_iter().partition(|edit| edit.is_one);
    let mut left: Vec<String> = split.into_iter().flat_map(|edit| edit.pointers).collect();
    let start = (text, loaded.value.clone());
    let done = all.iter().fold(start.clone(), |done, edit| edit.applied(&done));
    if reads_as(&done, path) {
        return (done.0, left);
    }
    let mut so_far = start;
    for edit in all {
        let next = edit.applied(&so_far);
        if reads_as(&next, path) {
            so_far = next;
        } else {
            left.extend(edit.pointers);
        }
    }
    (so_far.0, left)
}

impl Edit {
    /// Returns a text with it, and what that should say then.
    fn applied(&self, (text, value): &(String, Value)) -> (String, Value) {
        let (mut text, mut value) = (text.clone(), value.clone());
        if text.get(self.range.clone()).is_some() {
            text.replace_range(self.range.clone(), &flow(&self.value));
        }
        for pointer in &self.pointers {
            if let Some(place) = value.pointer_mut(pointer) {
                *place = self.value.clone();
            }
        }
        (text, value)
    }
}

/// Returns whether a text is a file of tests that says this.
fn reads_as((text, expected): &(String, Value), path: &Path) -> bool {
    let files = Memory([(path.to_owned(), text.as_bytes().to_vec())].into());
    load_tests(&files, path).is_ok_and(|loaded| loaded.value == *expected)
}

/// Returns the byte order mark of a file that has one.
fn mark(path: &Path, text: &str) -> Result<&'static str, CommandError> {
    const MARK: &str = "\u{feff}";
    let name = path.display();
    let bytes = Disk.read(path).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
    match bytes.strip_prefix(MARK.as_bytes()) {
        Some(rest) if rest == text.as_bytes() => Ok(MARK),
        None if bytes == text.as_bytes() => Ok(""),
        Some(_) | None => Err(CommandError::failure(format!("{name} has changed meanwhile; nothing was written"))),
    }
}

/// Says what was left, and where.
fn told(suite: &Suite, pointer: &str, why: &str) -> String {
    let mut parts = pointer.split('/').skip(2);
    let place: usize = parts.next().and_then(|place| place.parse().ok()).unwrap_or_default();
    let (member, line) = (parts.nth(1).unwrap_or_default(), suite.line(place).unwrap_or(1));
    format!("not written: `{member}` of `{}` ({}:{line}): {why}", visible(suite.test(place)), visible(&suite.name()))
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
