//! For code scanning: SARIF 2.1.0 (OASIS), in the part of it that GitHub reads.
//!
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::codes::Code;
use super::super::{Diagnostic, Severity, Sources};
use super::place::{Place, Text, Texts};
use super::{in_file_order, shown};
use crate::base::Digest;

/// Bytes of a line that tell its finding from others.
const LINE_BYTES: usize = 400;

/// Writes diagnostics as one SARIF log, in file order.
///
/// `explain` gives the help text of a code. A finding without a place is put on the first line of the first file, since GitHub
/// refuses results without a place. Fingerprints come from code, file and pointer (or line), not from line numbers, so that an
/// alert survives an edit above it.
pub fn sarif(diagnostics: &[Diagnostic], sources: &Sources, explain: &dyn Fn(&str) -> Option<Code>) -> Value {
    let texts = Texts::new(diagnostics, sources);
    let mut rules: BTreeMap<&str, &Diagnostic> = BTreeMap::new();
    for diagnostic in diagnostics {
        let known = rules.entry(diagnostic.code).or_insert(diagnostic);
        if known.severity < diagnostic.severity {
            *known = diagnostic;
        }
    }
    let indexes: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(index, code)| (*code, index)).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = in_file_order(diagnostics)
        .into_iter()
        .map(|diagnostic| {
            let mut result = result(diagnostic, &texts, &mut seen);
            if let (Value::Object(members), Some(index)) = (&mut result, indexes.get(diagnostic.code)) {
                members.insert("ruleIndex".to_owned(), json!(index));
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bifrostctl",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|(code, worst)| rule(code, worst.severity, explain(code))).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }]
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(code: &str, severity: Severity, explained: Option<Code>) -> Value {
    let mut rule = json!({"id": code, "defaultConfiguration": {"level": level(severity)}});
    if let (Value::Object(members), Some(Code { title, explanation, .. })) = (&mut rule, explained) {
        members.insert("shortDescription".to_owned(), json!({"text": title}));
        members.insert("fullDescription".to_owned(), json!({"text": explanation}));
        members.insert("help".to_owned(), json!({"text": explanation, "markdown": explanation}));
    }
    rule
}

fn result(diagnostic: &Diagnostic, texts: &Texts<'_>, seen: &mut BTreeMap<String, usize>) -> Value {
    let mut text = shown::line(&diagnostic.message);
    if let Some(help) = &diagnostic.help {
        text.push_str("\nhelp: ");
        text.push_str(&shown::line(help));
    }
    let place = diagnostic.location.and_then(|location| texts.place(location));
    let file = place.and_then(|place| texts.file(place)).or_else(|| texts.first());
    let mut result = Map::new();
    result.insert("ruleId".to_owned(), diagnostic.code.into());
    result.insert("level".to_owned(), level(diagnostic.severity).into());
    result.insert("message".to_owned(), json!({"text": text}));
    result.insert("locations".to_owned(), file.map(|file| location(file, place)).into_iter().collect());
    let related = diagnostic.related.iter().enumerate().filter_map(|(id, (at, label))| {
        let place = texts.place(*at)?;
        let mut related = location(texts.file(place)?, Some(place));
        if let Value::Object(members) = &mut related {
            members.insert("id".to_owned(), json!(id + 1));
            members.insert("message".to_owned(), json!({"text": shown::line(label)}));
        }
        Some(related)
    });
    let related: Vec<Value> = related.collect();
    if !related.is_empty() {
        result.insert("relatedLocations".to_owned(), related.into());
    }
    let print = fingerprint(diagnostic, file, place, &text);
    let count = seen.entry(print.clone()).or_default();
    *count += 1;
    result.insert("partialFingerprints".to_owned(), json!({"primaryLocationLineHash": format!("{print}:{count}")}));
    Value::Object(result)
}

fn location(file: &Text<'_>, place: Option<Place>) -> Value {
    let region = match place {
        Some(place) => json!({
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": place.end_line,
            "endColumn": place.end_column,
        }),
        None => json!({"startLine": 1}),
    };
    json!({"physicalLocation": {"artifactLocation": {"uri": uri(&file.path)}, "region": region}})
}

/// Digests what stays the same when lines move.
fn fingerprint(diagnostic: &Diagnostic, file: Option<&Text<'_>>, place: Option<Place>, message: &str) -> String {
    let path = file.map_or("", |file| file.path.as_str());
    let line = match (file, place) {
        (Some(file), Some(place)) => {
            let line = file.line(place.line);
            file.shown(line.start..file.floor(line.end.min(line.start + LINE_BYTES)))
        }
        _ => message.to_owned(),
    };
    let subject = diagnostic.pointer.as_deref().unwrap_or_else(|| line.trim());
    let digest = Digest::of_parts([diagnostic.code, path, subject].map(str::as_bytes));
    digest.to_string().chars().take(16).collect()
}

/// Percent-encodes a path as a URI reference (RFC 3986); relative stays relative.
fn uri(path: &str) -> String {
    let mut out = String::new();
    if path.starts_with('/') {
        out.push_str("file://");
    } else if path.split('/').next().is_some_and(|first| first.contains(':')) {
        // A colon in the first segment would read as a scheme.
        out.push_str("./");
    }
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' | b'+' | b'=' | b',' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
