//! What a line cannot hold: texts, and entries as a whole, as lines with `+` and `-`.

use serde_json::Value;
use similar::ChangeTag;

use crate::base::visible;
use crate::plan::diff::{Action, Change, text};
use crate::spec::to_yaml;

/// Lines around a changed one that are shown too.
const CONTEXT: usize = 3;

/// Returns the lines of a change's details; nothing where its summary says it all.
pub(super) fn lines(change: &Change) -> Vec<String> {
    match (&change.before, &change.after) {
        (Some(Value::String(before)), Some(Value::String(after))) if is_long(before) || is_long(after) => text_diff(before, after),
        (Some(before), Some(after)) if is_structure(before) || is_structure(after) => {
            let mut lines = whole('-', before);
            lines.extend(whole('+', after));
            lines
        }
        (before, after) => match change.action {
            Action::Removed => before.as_ref().filter(|it| has_more(it)).map(|it| whole('-', it)).unwrap_or_default(),
            Action::Added => after.as_ref().filter(|it| has_more(it)).map(|it| whole('+', it)).unwrap_or_default(),
            Action::Changed => Vec::new(),
        },
    }
}

fn is_long(text: &str) -> bool {
    text.contains('\n') || text.chars().count() > 40
}

/// Returns whether a value is more than a word, a number or a short list of them.
fn is_structure(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.len() > 1,
        Value::Array(items) => items.len() > 3 || items.iter().any(is_structure),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn has_more(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// Shows a whole value behind one sign.
fn whole(sign: char, value: &Value) -> Vec<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => to_yaml(&without_empty(value)),
    };
    text.lines().map(|line| format!("{sign} {}", visible(line))).collect()
}

/// Leaves out members that hold nothing: they are the defaults of whole entries.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), without_empty(value)));
            members.filter(|(_, value)| !is_empty(value)).collect()
        }
        Value::Array(items) => items.iter().map(without_empty).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn text_diff(before: &str, after: &str) -> Vec<String> {
    let all = text::lines(before, after);
    let changed: Vec<usize> = all.iter().enumerate().filter(|(_, (tag, _))| *tag != ChangeTag::Equal).map(|(index, _)| index).collect();
    let mut lines = Vec::new();
    let mut left_out = 0;
    for (index, (tag, line)) in all.iter().enumerate() {
        let next = changed.partition_point(|at| *at < index);
        let near = |at: Option<&usize>| at.is_some_and(|at| at.abs_diff(index) <= CONTEXT);
        if !near(changed.get(next)) && !near(next.checked_sub(1).and_then(|before| changed.get(before))) {
            left_out += 1;
            continue;
        }
        skipped(&mut lines, &mut left_out);
        let sign = match tag {
            ChangeTag::Equal => ' ',
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        // Whether the last line ends with a line break is seen by nobody else.
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, ""),
            None => (*line, " (no line break at the end)"),
        };
        lines.push(format!("{sign} {}{end}", visible(line)));
    }
    skipped(&mut lines, &mut left_out);
    lines
}

fn skipped(lines: &mut Vec<String>, left_out: &mut usize) {
    if *left_out > 0 {
        lines.push(format!("@@ {left_out} lines are the same @@"));
        *left_out = 0;
    }
}
