//! For programs: a flat object for each finding, every member always there.

use serde_json::{Value, json};

use super::super::{Diagnostic, Location, Sources};
use super::place::Texts;
use super::{in_file_order, shown};

/// Writes diagnostics as an array of objects, in file order.
///
/// Lines and columns count from 1, columns in characters, `end_column` is one past the last; all are null where no place is to blame.
pub fn json(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    let texts = Texts::new(diagnostics, sources);
    in_file_order(diagnostics).into_iter().map(|diagnostic| object(diagnostic, &texts)).collect()
}

fn object(diagnostic: &Diagnostic, texts: &Texts<'_>) -> Value {
    let related: Vec<Value> = diagnostic
        .related
        .iter()
        .map(|(location, label)| merged(json!({"message": shown::line(label)}), position(Some(*location), texts)))
        .collect();
    let head = json!({"code": diagnostic.code, "severity": diagnostic.severity, "message": shown::line(&diagnostic.message)});
    let tail = json!({
        "pointer": diagnostic.pointer.as_deref().map(shown::line),
        "help": diagnostic.help.as_deref().map(shown::line),
        "related": related,
    });
    merged(merged(head, position(diagnostic.location, texts)), tail)
}

fn position(location: Option<Location>, texts: &Texts<'_>) -> Value {
    let place = location.and_then(|location| texts.place(location));
    json!({
        "file": place.and_then(|place| texts.file(place)).map(|file| &file.path),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "end_line": place.map(|place| place.end_line),
        "end_column": place.map(|place| place.end_column),
    })
}

fn merged(mut into: Value, from: Value) -> Value {
    if let (Value::Object(into), Value::Object(from)) = (&mut into, from) {
        into.extend(from);
    }
    into
}
