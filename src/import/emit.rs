//! The spec as a file that people read: block style, short values on one line, and a comment wherever a finding says something.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::finding::{Class, Finding};
use super::tree::pointer;
use crate::spec::{Spec, to_yaml};

/// Characters of a line, beyond which comments are broken and values are not written on one.
const WIDTH: usize = 110;

/// Members whose values are the user's own, in which nothing is empty by accident.
const VERBATIM: [&str; 2] = ["defaults", "overrides"];

/// Returns the spec as JSON, without what says nothing.
pub(super) fn value(spec: &Spec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    prune(&mut value, Spot::File);
    value
}

/// Where a map stands, which decides what in it says something although it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    File,
    /// Keys and teams, whose lists of models are refused or mean something else where they are not written.
    Callers,
    /// Other sections, whose members are names.
    Names,
    Caller,
    Inside,
}

fn prune(value: &mut Value, spot: Spot) {
    match value {
        Value::Object(members) => {
            let is_own = |name: &str| spot == Spot::Inside && VERBATIM.contains(&name);
            for (name, member) in members.iter_mut().filter(|(name, _)| !is_own(name)) {
                let below = match (spot, name.as_str()) {
                    (Spot::File, "virtual_keys" | "teams") => Spot::Callers,
                    (Spot::File, "providers" | "models" | "budgets" | "prices") => Spot::Names,
                    (Spot::Callers, _) => Spot::Caller,
                    (Spot::File | Spot::Names | Spot::Caller | Spot::Inside, _) => Spot::Inside,
                };
                prune(member, below);
            }
            members.retain(|name, member| match member {
                Value::Null => false,
                Value::Bool(flag) => *flag,
                Value::Array(items) => !items.is_empty() || (spot == Spot::Caller && name == "models"),
                Value::Object(members) => !members.is_empty() || name == "providers" || matches!(spot, Spot::Names | Spot::Callers),
                Value::Number(_) | Value::String(_) => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, Spot::Inside)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes the spec with what the findings say.
pub(super) fn yaml(value: &Value, head: &str, findings: &[Finding]) -> String {
    let mut out = Writer { out: String::new(), comments: comments(value, findings) };
    out.out.push_str(head);
    if let Value::Object(members) = value {
        out.map(members, "", 0);
    }
    out.out
}

/// Puts what is to be said above what it is about: each sentence once, where its target or the nearest thing around it stands.
fn comments(value: &Value, findings: &[Finding]) -> BTreeMap<String, Vec<String>> {
    let mut comments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|it| it.class != Class::Exact && !it.why.is_empty()) {
        let Some(became) = &finding.became else { continue };
        let mut around = std::iter::successors(Some(became.as_str()), |pointer| pointer.rsplit_once('/').map(|(above, _)| above));
        let Some(place) = around.find(|pointer| !pointer.is_empty() && value.pointer(pointer).is_some() && !is_inside_line(value, pointer))
        else {
            continue;
        };
        let text = format!("{}: {}", finding.class.word(), finding.why);
        let list = comments.entry(place.to_owned()).or_default();
        if !list.contains(&text) {
            list.push(text);
        }
    }
    comments
}

/// Returns whether a value stands within another one that is written on one line.
fn is_inside_line(value: &Value, pointer: &str) -> bool {
    let above = std::iter::successors(pointer.rsplit_once('/').map(|(above, _)| above), |above| above.rsplit_once('/').map(|(it, _)| it));
    above
        .into_iter()
        .filter(|above| above.matches('/').count() > 1)
        .any(|above| value.pointer(above).is_some_and(|it| on_line(it).is_some()))
}

struct Writer {
    out: String,
    comments: BTreeMap<String, Vec<String>>,
}

impl Writer {
    fn map(&mut self, members: &Map<String, Value>, at: &str, indent: usize) {
        for (index, (name, value)) in members.iter().enumerate() {
            let at = format!("{at}{}", pointer(&[name]));
            if indent == 0 && index > 0 {
                self.out.push('\n');
            }
            self.comment(&at, indent);
            self.pad(indent);
            self.out.push_str(&scalar(&Value::String(name.clone())));
            self.out.push(':');
            self.value(value, &at, indent);
        }
    }

    fn value(&mut self, value: &Value, at: &str, indent: usize) {
        // A section is a block, however short.
        let line = if indent == 0 && !matches!(value, Value::Array(_)) { None } else { on_line(value) };
        if let Some(line) = line {
            let _ = writeln!(self.out, " {line}");
            return;
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                self.out.push('\n');
                self.map(members, at, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                self.out.push('\n');
                for (index, item) in items.iter().enumerate() {
                    self.item(item, &format!("{at}/{index}"), indent + 2);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                let _ = writeln!(self.out, " {}", scalar(value));
            }
        }
    }

    fn item(&mut self, item: &Value, at: &str, indent: usize) {
        self.comment(at, indent);
        self.pad(indent);
        match (item, on_line(item)) {
            (_, Some(line)) => {
                let _ = writeln!(self.out, "- {line}");
            }
            (Value::Object(members), None) => {
                let start = self.out.len();
                self.map(members, at, indent + 2);
                // The first member stands behind the dash, unless a comment stands before it.
                let first = self.out.get(start..).map(|text| text.trim_start_matches(' ').to_owned()).unwrap_or_default();
                self.out.truncate(start);
                let dash = if first.starts_with('#') { format!("-\n{}", " ".repeat(indent + 2)) } else { "- ".to_owned() };
                let _ = write!(self.out, "{dash}{first}");
            }
            (other, None) => {
                let text = to_yaml(other);
                let text = text.trim_end().replace('\n', &format!("\n{}", " ".repeat(indent + 2)));
                let _ = writeln!(self.out, "- {text}");
            }
        }
    }

    fn comment(&mut self, at: &str, indent: usize) {
        for text in self.comments.remove(at).unwrap_or_default() {
            for line in broken(&text, WIDTH.saturating_sub(indent + 2).max(40)) {
                self.pad(indent);
                let _ = writeln!(self.out, "# {line}");
            }
        }
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Writes a value on one line, where that is how people would write it; none where it takes several.
fn on_line(value: &Value) -> Option<String> {
    let is_short = |text: &String| text.len() <= 90;
    match value {
        Value::Object(members) if members.is_empty() => Some("{}".to_owned()),
        // A sentence or a condition stands on a line of its own.
        Value::Object(members) if members.values().any(|it| it.as_str().is_some_and(|text| text.contains(' '))) => None,
        Value::Object(members) => {
            let flat = members.iter().map(|(name, it)| Some(format!("{}: {}", in_flow(&Value::String(name.clone()))?, inner(it)?)));
            let few = members.len() <= 4;
            flat.collect::<Option<Vec<_>>>().map(|it| format!("{{{}}}", it.join(", "))).filter(is_short).filter(|_| few)
        }
        Value::Array(items) => {
            items.iter().map(inner).collect::<Option<Vec<_>>>().map(|it| format!("[{}]", it.join(", "))).filter(is_short)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Writes what stands inside of braces or brackets: a leaf, or one more pair of them around leaves.
fn inner(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) if members.len() <= 2 => {
            let flat = members.iter().map(|(name, it)| Some(format!("{}: {}", in_flow(&Value::String(name.clone()))?, in_flow(it)?)));
            flat.collect::<Option<Vec<_>>>().map(|it| format!("{{{}}}", it.join(", ")))
        }
        Value::Object(_) | Value::Array(_) => None,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => in_flow(value),
    }
}

/// Writes a leaf such that it may stand between braces and brackets.
fn in_flow(value: &Value) -> Option<String> {
    match value {
        Value::Object(_) | Value::Array(_) => None,
        Value::String(text) => {
            // What may be written without escapes is the same in JSON and in YAML.
            let is_plain = text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
            let written = scalar(value);
            let needs_quotes = text.contains([',', '[', ']', '{', '}', ':']) && !written.starts_with('"');
            is_plain.then(|| if needs_quotes { Value::String(text.clone()).to_string() } else { written })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(scalar(value)),
    }
}

fn scalar(value: &Value) -> String {
    let text = to_yaml(value);
    text.trim_end_matches('\n').to_owned()
}

/// Breaks a text into lines.
pub(super) fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}
