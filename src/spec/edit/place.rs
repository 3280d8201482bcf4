//! Where the members of a list or map stand, and which bytes go with one of them.

use std::ops::Range;

use serde_json::Value;

use super::EditError;
use crate::spec::Location;
use crate::spec::load::parsed;

/// How a list or map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// On lines of its own.
    Block,
    /// In `[ ]` or `{ }`.
    Flow,
}

/// A list or map, and what stands in it.
#[derive(Debug, Clone)]
pub(super) struct Container {
    /// The whole file's value.
    pub(super) root: Value,
    pub(super) is_list: bool,
    pub(super) style: Style,
    /// Behind the `[` or `{`.
    pub(super) inside: usize,
    pub(super) children: Vec<Child>,
}

/// A member or an item.
#[derive(Debug, Clone)]
pub(super) struct Child {
    /// The member's name; an item's index.
    pub(super) name: String,
    /// With the name.
    pub(super) whole: Range<usize>,
    pub(super) value: Range<usize>,
    /// Whether the value is a list or a map that is not empty.
    pub(super) is_filled: bool,
}

impl Container {
    /// Finds a list or map by its pointer.
    pub(super) fn find(text: &str, pointer: &str) -> Result<Self, EditError> {
        let (root, spans) = parsed(text).ok_or(EditError::Syntax)?;
        let members: Vec<(String, &Value)> = match root.pointer(pointer) {
            Some(Value::Array(items)) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
            Some(Value::Object(members)) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => return Err(EditError::Place),
        };
        let is_list = root.pointer(pointer).is_some_and(Value::is_array);
        let mut place = Location { file: 0, start: 0, end: text.len() };
        for end in pointer.match_indices('/').map(|(at, _)| at).skip(1).chain([pointer.len()]) {
            let inner = pointer.get(..end).filter(|inner| !inner.is_empty());
            let Some(inner) = inner else { continue };
            let found = spans.own(inner).ok_or(EditError::Place)?;
            if found.start < place.start || found.end > place.end {
                return Err(EditError::Shared);
            }
            place = found;
        }
        let start = if pointer.is_empty() { first_byte(text) } else { behind_anchor(text, place.start) };
        let style = if opens(text, start) { Style::Flow } else { Style::Block };
        if text.get(start..).is_some_and(|rest| rest.starts_with('*')) {
            return Err(EditError::Shared);
        }
        let mut children = Vec::new();
        for (name, value) in members {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let at = spans.own(&pointer).ok_or(EditError::Place)?;
            let key = if is_list { at } else { spans.key(&pointer).unwrap_or(at) };
            if key.start < place.start || key.start > place.end {
                return Err(EditError::Shared);
            }
            let is_filled = value.as_array().is_some_and(|items| !items.is_empty()) || value.as_object().is_some_and(|map| !map.is_empty());
            children.push(Child { name, whole: key.start..at.end.max(key.end), value: at.start..at.end, is_filled });
        }
        Ok(Self { is_list, style, inside: start + 1, children, root })
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.name == name)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.name == name)
    }
}

fn first_byte(text: &str) -> usize {
    let lines = text.split_inclusive('\n').take_while(|line| line.trim().is_empty() || line.starts_with(['#', '-', '\u{feff}']));
    lines.map(str::len).sum()
}

/// Steps over `&name`.
fn behind_anchor(text: &str, at: usize) -> usize {
    let Some(rest) = text.get(at..).filter(|rest| rest.starts_with('&')) else { return at };
    let name = rest.find([' ', '\n']).unwrap_or(rest.len());
    let blanks = rest.get(name..).map_or(0, |rest| rest.len() - rest.trim_start().len());
    at + name + blanks
}

/// Returns whether a list or map in flow style begins at a byte.
pub(super) fn opens(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(['[', '{']))
}

pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |found| found + 1)
}

/// Returns where the next line begins.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |found| at + found + 1)
}

/// Returns the blanks before a byte that is the first of its line.
pub(super) fn line_indent(text: &str, at: usize) -> Option<&str> {
    text.get(line_start(text, at)..at).filter(|before| before.bytes().all(|byte| byte == b' '))
}

/// Returns the blanks before the dash of an item that begins on its line.
pub(super) fn dash_indent(text: &str, at: usize) -> Option<&str> {
    let before = text.get(line_start(text, at)..at)?;
    let (indent, rest) = before.split_once('-')?;
    let rest = rest.trim_start_matches(' ');
    let fits = indent.bytes().all(|byte| byte == b' ') && (rest.is_empty() || rest.starts_with('&'));
    fits.then_some(indent)
}

/// Returns the lines of a member or an item in block style.
pub(super) fn block_range(text: &str, container: &Container, at: usize) -> Option<Range<usize>> {
    let child = container.children.get(at)?;
    let start = child.whole.start;
    if container.is_list {
        dash_indent(text, start)?;
    } else {
        line_indent(text, start)?;
    }
    Some(line_start(text, start)..line_end(text, child.whole.end.max(start)))
}

/// Returns the bytes of a member or an item in flow style, with one comma; its whole lines where nothing else stands on them.
pub(super) fn flow_range(text: &str, container: &Container, at: usize) -> Option<Range<usize>> {
    let child = container.children.get(at)?;
    let (mut start, mut end) = (child.whole.start, child.whole.end);
    let rest = text.get(end..)?;
    let comma = rest.trim_start_matches([' ', '\n', '\r']);
    if comma.starts_with(',') {
        end += rest.len() - comma.len() + 1;
        let line = text.get(end..line_end(text, end))?;
        let alone = line.trim().is_empty() || line.trim_start().starts_with('#');
        if line_indent(text, start).is_some() && alone {
            return Some(line_start(text, start)..line_end(text, end));
        }
        end += line.len() - line.trim_start_matches(' ').len();
    } else {
        start = container.children.get(at.checked_sub(1)?)?.whole.end;
    }
    Some(start..end)
}
