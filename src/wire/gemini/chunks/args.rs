//! A call's arguments that come in pieces, each with the path where it belongs: `$.operations[0].action`.

use crate::wire::codec::Failure;
use crate::wire::json::{Node, Text, Writer};

/// Most bytes of arguments that are gathered.
const MAX_BYTES: usize = 16 << 20;

/// Most levels of objects and arrays, as in any JSON that is read.
const MAX_DEPTH: usize = crate::wire::scan::MAX_DEPTH as usize - 1;

/// Most members of one object.
const MAX_MEMBERS: usize = 4_096;

/// One value as it grows.
#[derive(Debug)]
enum Value {
    Object(Vec<(String, Value)>),
    Array(Vec<Value>),
    Text(String),
    /// A number, a boolean, null, as JSON.
    Plain(String),
}

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// The arguments of one call.
#[derive(Debug)]
pub(super) struct Args {
    root: Value,
    bytes: usize,
}

impl Args {
    pub(super) const fn new() -> Self {
        Self { root: Value::Object(Vec::new()), bytes: 0 }
    }

    /// Adds one of `partialArgs`.
    ///
    /// # Errors
    /// Where its path leads nowhere.
    pub(super) fn add(&mut self, piece: Node<'_, '_>) -> Result<(), Failure> {
        let path = piece.get("jsonPath").and_then(Node::text).unwrap_or_default();
        let steps = steps(&path).ok_or_else(|| Failure::malformed("a piece of arguments has no path that is known"))?;
        self.bytes += piece.raw().len();
        if self.bytes > MAX_BYTES || steps.len() > MAX_DEPTH {
            return Err(Failure::malformed("the arguments of a call are too large"));
        }
        let lost = || Failure::malformed("a piece of arguments leads nowhere");
        let mut at = &mut self.root;
        for step in steps {
            at = descend(at, step).ok_or_else(lost)?;
        }
        if let Some(text) = piece.get("stringValue").and_then(Node::text) {
            match at {
                // A text comes in pieces of its own.
                Value::Text(known) => known.push_str(&text),
                other => *other = Value::Text(text.into_owned()),
            }
        } else if let Some(plain) = piece.get("numberValue").or_else(|| piece.get("boolValue")) {
            *at = Value::Plain(plain.raw().to_owned());
        }
        // Null is what stands there already.
        Ok(())
    }

    /// Returns the arguments as a JSON object.
    pub(super) fn into_text(self) -> Text<'static> {
        let mut out = Vec::new();
        write(&self.root, &mut Writer::new(&mut out));
        Text::Owned(String::from_utf8(out).unwrap_or_default())
    }
}

/// Finds the value one step further, or makes it, as null. An array grows by one element at a time.
fn descend(at: &mut Value, step: Step) -> Option<&mut Value> {
    let nothing = || Value::Plain("null".to_owned());
    let is_new = matches!(at, Value::Plain(plain) if plain == "null");
    match step {
        Step::Name(name) => {
            if is_new {
                *at = Value::Object(Vec::new());
            }
            let Value::Object(members) = at else { return None };
            // The pieces of one member come one behind the other.
            let known = members.iter().rposition(|(known, _)| *known == name);
            if known.is_none() && members.len() >= MAX_MEMBERS {
                return None;
            }
            let index = known.unwrap_or_else(|| {
                members.push((name, nothing()));
                members.len() - 1
            });
            members.get_mut(index).map(|(_, value)| value)
        }
        Step::Index(index) => {
            if is_new {
                *at = Value::Array(Vec::new());
            }
            let Value::Array(elements) = at else { return None };
            if index == elements.len() {
                elements.push(nothing());
            }
            elements.get_mut(index)
        }
    }
}

fn write(value: &Value, writer: &mut Writer<'_>) {
    match value {
        Value::Object(members) => {
            writer.begin_object();
            for (name, value) in members {
                write(value, writer.key(name));
            }
            writer.end_object();
        }
        Value::Array(elements) => {
            writer.begin_array();
            elements.iter().for_each(|element| write(element, writer));
            writer.end_array();
        }
        Value::Text(text) => writer.text(text),
        Value::Plain(plain) => writer.raw(plain),
    }
}

/// Takes a path apart; `None` where it is not one.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Name(name.get(..end)?.to_owned()));
            rest = name.get(end..)?;
        } else {
            let inner = rest.strip_prefix('[')?;
            let quote = inner.chars().next().filter(|first| matches!(first, '\'' | '"'));
            let (step, after) = match quote {
                Some(quote) => {
                    let (name, after) = inner.get(1..)?.split_once(&format!("{quote}]"))?;
                    (Step::Name(name.to_owned()), after)
                }
                None => {
                    let (index, after) = inner.split_once(']')?;
                    (Step::Index(index.parse().ok()?), after)
                }
            };
            steps.push(step);
            rest = after;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    fn gathered(pieces: &[&str]) -> Result<String, Failure> {
        let mut args = Args::new();
        for piece in pieces {
            args.add(Document::parse(piece.as_bytes()).unwrap().root())?;
        }
        Ok(args.into_text().into_owned())
    }

    #[test]
    fn pieces_go_where_their_path_leads() {
        let told = gathered(&[
            r#"{"jsonPath":"$.a[0].b","stringValue":"on","willContinue":true}"#,
            r#"{"jsonPath":"$.a[0].b","stringValue":"e"}"#,
            r#"{"jsonPath":"$.a[0]['c.d']","numberValue":1.50}"#,
            r#"{"jsonPath":"$.a[1].b","boolValue":true}"#,
            r#"{"jsonPath":"$.n","nullValue":"NULL_VALUE"}"#,
        ]);
        assert_eq!(told.unwrap(), r#"{"a":[{"b":"one","c.d":1.50},{"b":true}],"n":null}"#);
        assert_eq!(gathered(&[]).unwrap(), "{}");
    }

    #[test]
    fn a_path_that_leads_nowhere_is_malformed() {
        for path in ["$.a[4000000000]", "a", "$", "$[0]", "$.a[x]", "$['a"] {
            assert!(gathered(&[&format!(r#"{{"jsonPath":"{path}","boolValue":true}}"#)]).is_err(), "{path}");
        }
        let through = [r#"{"jsonPath":"$.a","stringValue":"x"}"#, r#"{"jsonPath":"$.a.b","stringValue":"x"}"#];
        assert!(gathered(&through).is_err());
    }
}
