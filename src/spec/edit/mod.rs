//! Changing one place of a spec's text and no other byte: comments, quotes and layout around it stay.
//!
//! A place is a JSON pointer into the one file, as it stands: nothing of includes, overlays and interpolation. Rule: the text that comes
//! out means what the change says, and holds every comment but those of what was removed; where that cannot be done, nothing comes out.
//!
//! | file | is |
//! |---|---|
//! | `place` | finding the members of a list or map, in block or flow style |
//! | `inline` | values as they are written in |

mod inline;
mod place;

use std::ops::Range;

use serde_json::Value;

use super::format::{column_of, comments, in_unix};
use super::load::parsed;
use inline::Names;
use place::{Container, Style};

/// Why a text was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text does not parse.
    #[error("the file does not parse")]
    Syntax,
    /// There is no such place, or there is one where none may be.
    #[error("there is no such place in the file")]
    Place,
    /// What stands there comes from an anchor, and other places share it.
    #[error("it is shared with other places through an anchor or a merge key")]
    Shared,
    /// The place is written in a way in which it is not edited, such as a dash on a line of its own; `fmt` mends most of them.
    #[error("it is written in a way that is not edited")]
    Form,
}

/// Puts a value in: before the item of a list at the pointer's index, behind the last one, or as a new member of a map.
///
/// Takes the style of what stands beside it. O(text), as all edits are.
///
/// # Errors
/// [`EditError`]; the caller keeps the text as it is then.
pub fn insert(text: &str, pointer: &str, value: &Value) -> Result<String, EditError> {
    in_unix(text, |text| insert_in(text, pointer, value))
}

fn insert_in(text: &str, pointer: &str, value: &Value) -> Result<String, EditError> {
    let (parent, name) = pointer.rsplit_once('/').ok_or(EditError::Place)?;
    let name = member(name);
    let container = Container::find(text, parent)?;
    let mut expected = container.root.clone();
    let at = match expected.pointer_mut(parent).ok_or(EditError::Place)? {
        Value::Array(items) => {
            let at = name.parse().ok().filter(|at| *at <= items.len()).ok_or(EditError::Place)?;
            items.insert(at, value.clone());
            at
        }
        Value::Object(members) if !members.contains_key(&name) => {
            members.insert(name.clone(), value.clone());
            members.len() - 1
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => return Err(EditError::Place),
    };
    let names = Names::of(text);
    let entry = if container.is_list { names.value(value) } else { names.member(&name, value) };
    let edits = match container.style {
        Style::Flow => insert_flow(text, &container, at, &entry),
        Style::Block => insert_block(text, &container, at, value, &entry)?,
    };
    finish(text, edits, &expected)
}

/// Puts a value in the place of a scalar, or of a list or map in flow style.
///
/// # Errors
/// As [`insert`].
pub fn replace(text: &str, pointer: &str, value: &Value) -> Result<String, EditError> {
    in_unix(text, |text| replace_in(text, pointer, value))
}

fn replace_in(text: &str, pointer: &str, value: &Value) -> Result<String, EditError> {
    let (parent, name) = pointer.rsplit_once('/').ok_or(EditError::Place)?;
    let container = Container::find(text, parent)?;
    let child = container.child(&member(name)).ok_or(EditError::Place)?;
    let written = child.value.clone();
    let mut expected = container.root.clone();
    *expected.pointer_mut(pointer).ok_or(EditError::Place)? = value.clone();
    if written.is_empty() || (child.is_filled && !text.get(written.clone()).is_some_and(|text| text.starts_with(['[', '{']))) {
        return Err(EditError::Form);
    }
    finish(text, vec![(written, Names::of(text).value(value))], &expected)
}

/// Takes a member out of a map or an item out of a list, with the comments beside it; not the last one.
///
/// # Errors
/// As [`insert`].
pub fn remove(text: &str, pointer: &str) -> Result<String, EditError> {
    in_unix(text, |text| remove_from(text, pointer))
}

fn remove_from(text: &str, pointer: &str) -> Result<String, EditError> {
    let (parent, name) = pointer.rsplit_once('/').ok_or(EditError::Place)?;
    let name = member(name);
    let container = Container::find(text, parent)?;
    let at = container.position(&name).ok_or(EditError::Place)?;
    let mut expected = container.root.clone();
    match expected.pointer_mut(parent).ok_or(EditError::Place)? {
        Value::Array(items) if items.len() > 1 && at < items.len() => drop(items.remove(at)),
        Value::Object(members) if members.len() > 1 => drop(members.shift_remove(&name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            return Err(EditError::Form);
        }
    }
    let range = match container.style {
        Style::Flow => place::flow_range(text, &container, at).ok_or(EditError::Form)?,
        Style::Block => place::block_range(text, &container, at).ok_or(EditError::Form)?,
    };
    finish(text, vec![(range, String::new())], &expected)
}

fn member(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

type Edit = (Range<usize>, String);

/// Applies edits and checks what came of them.
fn finish(text: &str, mut edits: Vec<Edit>, expected: &Value) -> Result<String, EditError> {
    let kept: Vec<String> = comments(text)
        .ok_or(EditError::Syntax)?
        .into_iter()
        .filter(|(at, _)| !edits.iter().any(|(range, _)| range.contains(at)))
        .map(|(_, comment)| comment)
        .collect();
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut out = text.to_owned();
    for (range, new) in edits {
        out.replace_range(range, &new);
    }
    let value = parsed(&out).map(|(value, _)| value);
    let says: Option<Vec<String>> = comments(&out).map(|all| all.into_iter().map(|(_, comment)| comment).collect());
    match (value.as_ref() == Some(expected), says.as_ref() == Some(&kept)) {
        (true, true) => Ok(out),
        // What was written in one place is to be read in another one, too.
        (false, _) if value.is_some() => Err(EditError::Shared),
        (false, _) | (true, false) => Err(EditError::Form),
    }
}

fn insert_flow(text: &str, container: &Container, at: usize, entry: &str) -> Vec<Edit> {
    let put = |at: usize, text: String| (at..at, text);
    if let Some(next) = container.children.get(at) {
        let start = next.whole.start;
        let gap = place::line_indent(text, start).map_or(" ".to_owned(), |indent| format!("\n{indent}"));
        return vec![put(start, format!("{entry},{gap}"))];
    }
    let Some(last) = container.children.last() else {
        return vec![put(container.inside, entry.to_owned())];
    };
    let end = last.whole.end;
    let rest = text.get(end..place::line_end(text, end)).unwrap_or_default();
    let comma = rest.trim_start().starts_with(',');
    let beside = rest.trim_start().trim_start_matches(',').trim_start();
    match place::line_indent(text, last.whole.start) {
        // Every entry has a line of its own; the comment beside the last one stays with it.
        Some(indent) if (beside.is_empty() || beside.starts_with('#')) && rest.ends_with('\n') => {
            let mut edits = vec![put(place::line_end(text, end), format!("{indent}{entry}{}\n", if comma { "," } else { "" }))];
            if !comma {
                edits.push(put(end, ",".to_owned()));
            }
            edits
        }
        Some(_) | None => vec![put(end, format!(", {entry}"))],
    }
}

fn insert_block(text: &str, container: &Container, at: usize, value: &Value, entry: &str) -> Result<Vec<Edit>, EditError> {
    let first = container.children.first().ok_or(EditError::Form)?;
    let start = match container.children.get(at) {
        Some(next) => place::line_start(text, next.whole.start),
        None => place::line_end(text, container.children.last().map_or(0, |last| last.whole.end)),
    };
    let broken = start > 0 && !text.get(..start).is_some_and(|before| before.ends_with('\n'));
    let mut new = String::from(if broken { "\n" } else { "" });
    if container.is_list {
        let indent = place::dash_indent(text, first.whole.start).ok_or(EditError::Form)?;
        match value {
            // As the items beside it are written.
            Value::Object(members) if first.is_filled && !place::opens(text, first.value.start) && !members.is_empty() => {
                for (number, (name, value)) in members.iter().enumerate() {
                    let mark = if number == 0 { "- " } else { "  " };
                    new.push_str(&format!("{indent}{mark}{}\n", Names::Bare.member(name, value)));
                }
            }
            _ => new.push_str(&format!("{indent}- {entry}\n")),
        }
    } else {
        let column = column_of(text, first.whole.start);
        new.push_str(&format!("{}{entry}\n", " ".repeat(column)));
    }
    Ok(vec![(start..start, new)])
}
