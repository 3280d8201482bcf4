//! `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` inside values, after parsing and merging.
//!
//! Structural, never textual: what is put in stays inside its scalar and is not looked at again. A scalar that is one interpolation
//! and nothing else becomes a number or a boolean where the field takes no text; where anything may stand, quotes keep it a text.

use std::ops::Range;

use serde_json::Value;

use super::node::{Kind, Node, Scalar, shown};
use super::read::{Reading, TOTAL_LIMIT};
use super::scalar::{self, Plain};
use super::shape::{Spot, shape};
use crate::spec::codes;
use crate::spec::{Diagnostic, Inputs, Location};

/// A part of a text, with its bytes in the text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Env { name: &'t str, default: Option<&'t str>, range: Range<usize> },
    File { path: &'t str, range: Range<usize> },
    Malformed { why: &'static str, range: Range<usize> },
}

/// Replaces every interpolation of the tree.
pub(super) fn interpolate(root: &mut Node, reading: &mut Reading<'_>, inputs: &Inputs<'_>) {
    let mut walk = Walk { reading, inputs, filled_bytes: 0 };
    walk.node(root, &shape().top());
}

struct Walk<'w, 'r, 'i> {
    reading: &'w mut Reading<'r>,
    inputs: &'w Inputs<'i>,
    /// What was put in so far.
    filled_bytes: usize,
}

/// What became of a text.
enum Outcome {
    Known(String),
    /// A variable is not set, and that is allowed.
    Unset,
    /// What is wrong was reported.
    Wrong,
}

impl Walk<'_, '_, '_> {
    fn node(&mut self, node: &mut Node, spot: &Spot<'_>) {
        let at = node.at;
        match &mut node.kind {
            Kind::Scalar(scalar) => node.doubtful |= self.scalar(scalar, at, spot),
            Kind::List(nodes) => nodes.iter_mut().for_each(|node| self.node(node, &spot.member("0"))),
            Kind::Map(entries) => {
                for entry in entries {
                    if entry.name.contains("${") {
                        let message = "interpolation is not possible in a key";
                        let problem = Diagnostic::error(codes::INTERPOLATION_IN_KEY, message).at(Some(entry.at));
                        self.reading.found.push(problem.help("write the name out; `$${` is a `${` that stays as it is"));
                        entry.node.doubtful = true;
                    }
                    let spot = spot.member(&entry.name);
                    self.node(&mut entry.node, &spot);
                }
            }
        }
    }

    /// Replaces one scalar's interpolations; returns whether its value is not known afterwards.
    fn scalar(&mut self, scalar: &mut Scalar, at: Location, spot: &Spot<'_>) -> bool {
        let Some(text) = scalar.value.as_str().filter(|text| text.contains("${")).map(str::to_owned) else { return false };
        let pieces = pieces(&text);
        let whole = matches!(pieces.as_slice(), [Piece::Env { .. } | Piece::File { .. }]);
        match self.fill(&text, &pieces, at, spot) {
            Outcome::Known(filled) => {
                let typed = whole && (!takes_text(spot) || (spot.is_free() && scalar.plain));
                scalar.value = if typed { typed_value(filled) } else { Value::String(filled) };
                false
            }
            Outcome::Unset => {
                if let Some(value) = spot.stand_in(&text) {
                    scalar.value = value;
                }
                // A map or a list can never come from a variable, set or not.
                takes_leaf(spot)
            }
            Outcome::Wrong => true,
        }
    }

    fn fill(&mut self, text: &str, pieces: &[Piece<'_>], at: Location, spot: &Spot<'_>) -> Outcome {
        let written = self.reading.source(at.file).and_then(|source| source.text.get(at.start..at.end)).unwrap_or_default();
        let begins = Begins { text: begins(text), written: begins(written) };
        let mut filled = String::with_capacity(text.len());
        let (mut wrong, mut unset) = (false, false);
        for piece in pieces {
            let outcome = match piece {
                Piece::Text(text) => Outcome::Known((*text).to_owned()),
                Piece::Malformed { why, range } => {
                    self.report(codes::INTERPOLATION_MALFORMED, (*why).to_owned(), self.place(text, range, at, &begins), FORMS)
                }
                Piece::Env { range, .. } | Piece::File { range, .. } if spot.is_sensitive() => {
                    let message = "an interpolation would put a secret into the configuration".to_owned();
                    let help = "write a reference: `{env: NAME}` or `{file: PATH}`";
                    self.report(codes::SECRET_INTERPOLATED, message, self.place(text, range, at, &begins), help)
                }
                Piece::Env { name, default, range } => self.variable(name, *default, self.place(text, range, at, &begins)),
                Piece::File { path, range } => self.file(path, at.file, self.place(text, range, at, &begins)),
            };
            match self.within_budget(outcome, at) {
                Outcome::Known(part) => filled.push_str(&part),
                Outcome::Unset => unset = true,
                Outcome::Wrong => wrong = true,
            }
        }
        match (wrong, unset) {
            (true, _) => Outcome::Wrong,
            (false, true) => Outcome::Unset,
            (false, false) => Outcome::Known(filled),
        }
    }

    /// Keeps a large file that is put in again and again from filling the memory.
    fn within_budget(&mut self, outcome: Outcome, at: Location) -> Outcome {
        let Outcome::Known(part) = outcome else { return outcome };
        let before = self.filled_bytes;
        self.filled_bytes = before.saturating_add(part.len());
        if self.filled_bytes <= TOTAL_LIMIT {
            return Outcome::Known(part);
        }
        if before <= TOTAL_LIMIT {
            let message = "interpolations put in more than 8 MiB".to_owned();
            return self.report(codes::TOO_LARGE, message, at, "name the file where it is needed instead");
        }
        Outcome::Wrong
    }

    fn variable(&mut self, name: &str, default: Option<&str>, place: Location) -> Outcome {
        let value = self.inputs.env.get(name);
        match (value, default) {
            // As in a shell, `:-` also stands in for an empty variable.
            (Some(value), Some(default)) if value.is_empty() => Outcome::Known(default.to_owned()),
            (Some(value), _) => Outcome::Known(value),
            (None, Some(default)) => Outcome::Known(default.to_owned()),
            (None, None) if !self.inputs.strict_env => Outcome::Unset,
            (None, None) => {
                let message = format!("the environment variable `{}` is not set", shown(name));
                self.report(codes::VARIABLE_UNSET, message, place, "set it, or give a default: `${env:NAME:-default}`")
            }
        }
    }

    fn file(&mut self, path: &str, from: usize, place: Location) -> Outcome {
        let path = self.reading.beside(from, path);
        let Some(index) = self.reading.open(&path, Some(place)) else { return Outcome::Wrong };
        let text = self.reading.source(index).map(|source| source.text.as_str()).unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        Outcome::Known(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }

    fn report(&mut self, code: &'static str, message: String, place: Location, help: &str) -> Outcome {
        self.reading.found.push(Diagnostic::error(code, message).at(Some(place)).help(help));
        Outcome::Wrong
    }

    /// Finds a part of a value in the file: the same occurrence of `${` there, if what follows is the same too.
    fn place(&self, text: &str, range: &Range<usize>, at: Location, begins: &Begins) -> Location {
        let exact = || {
            let wanted = text.get(range.clone())?;
            let count = begins.text.binary_search(&range.start).ok()?;
            let start = at.start + begins.written.get(count)?;
            let end = start + wanted.len();
            let written = self.reading.source(at.file)?.text.get(start..end.min(at.end))?;
            (written == wanted).then_some(Location { file: at.file, start, end })
        };
        exact().unwrap_or(at)
    }
}

/// Where each `${` stands: in a value, and in its spelling in the file.
struct Begins {
    text: Vec<usize>,
    written: Vec<usize>,
}

fn begins(text: &str) -> Vec<usize> {
    text.match_indices("${").map(|(at, _)| at).collect()
}

const FORMS: &str = "the forms are `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}`; `$${` is a `${` that stays as it is";

fn takes_text(spot: &Spot<'_>) -> bool {
    spot.takes("string") || spot.is_free()
}

fn takes_leaf(spot: &Spot<'_>) -> bool {
    takes_text(spot) || ["integer", "number", "boolean"].iter().any(|kind| spot.takes(kind))
}

/// Reads a text as a plain scalar would be; never as null.
fn typed_value(text: String) -> Value {
    match scalar::resolve(&text) {
        Plain::Value(value) if !value.is_null() => value,
        Plain::Value(_) | Plain::Text | Plain::Ambiguous(_) => Value::String(text),
    }
}

/// Splits a text at its interpolations.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("${")) {
        let start = from + found;
        let escaped = text.get(..start).is_some_and(|before| before.len() > from && before.ends_with('$'));
        if escaped {
            push_text(&mut pieces, text.get(from..start - 1));
            push_text(&mut pieces, Some("${"));
            from = start + 2;
            continue;
        }
        push_text(&mut pieces, text.get(from..start));
        let Some(length) = text.get(start..).and_then(|rest| rest.find('}')) else {
            pieces.push(Piece::Malformed { why: "the `${` is never closed", range: start..text.len() });
            return pieces;
        };
        let end = start + length + 1;
        pieces.push(inside(text.get(start + 2..end - 1).unwrap_or_default(), start..end));
        from = end;
    }
    push_text(&mut pieces, text.get(from..));
    pieces
}

fn push_text<'t>(pieces: &mut Vec<Piece<'t>>, text: Option<&'t str>) {
    pieces.extend(text.filter(|text| !text.is_empty()).map(Piece::Text));
}

fn inside(inside: &str, range: Range<usize>) -> Piece<'_> {
    if inside.contains("${") {
        return Piece::Malformed { why: "an interpolation cannot stand inside another", range };
    }
    if let Some(rest) = inside.strip_prefix("env:") {
        let (name, default) = rest.split_once(":-").map_or((rest, None), |(name, default)| (name, Some(default)));
        return if is_name(name) {
            Piece::Env { name, default, range }
        } else {
            Piece::Malformed { why: "the name of an environment variable is made of letters, digits and `_`", range }
        };
    }
    match inside.strip_prefix("file:") {
        Some("") => Piece::Malformed { why: "the path of the file is missing", range },
        Some(path) => Piece::File { path, range },
        None if is_name(inside) => Piece::Malformed { why: "an interpolation says where the value comes from: `${env:NAME}`", range },
        None => Piece::Malformed { why: "unknown interpolation", range },
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &'static str, default: Option<&'static str>, range: Range<usize>) -> Piece<'static> {
        Piece::Env { name, default, range }
    }

    #[test]
    fn a_text_is_split_at_its_interpolations() {
        assert_eq!(pieces("a${env:B}c"), [Piece::Text("a"), env("B", None, 1..9), Piece::Text("c")]);
        assert_eq!(pieces("${env:B:-x:-y}"), [env("B", Some("x:-y"), 0..14)]);
        assert_eq!(pieces("${env:B:-}"), [env("B", Some(""), 0..10)]);
        assert_eq!(pieces("${file:a b}"), [Piece::File { path: "a b", range: 0..11 }]);
        assert_eq!(pieces("$${env:B}"), [Piece::Text("${"), Piece::Text("env:B}")]);
        assert_eq!(pieces("$5 and $$"), [Piece::Text("$5 and $$")]);
        assert_eq!(pieces("${env:A}${env:B}"), [env("A", None, 0..8), env("B", None, 8..16)]);
        assert_eq!(pieces("${env:A}$${x"), [env("A", None, 0..8), Piece::Text("${"), Piece::Text("x")]);
    }

    #[test]
    fn what_is_no_interpolation_is_malformed() {
        for text in
            ["${", "${}", "${HOME}", "${env:}", "${env:1A}", "${env:A B}", "${file:}", "${vault:x}", "${env:A:-${env:B}}", "${env:A"]
        {
            assert!(matches!(pieces(text).first(), Some(Piece::Malformed { .. })), "{text}: {:?}", pieces(text));
        }
    }

    #[test]
    fn a_typed_value_is_never_null() {
        assert_eq!(typed_value("3".into()), Value::from(3));
        assert_eq!(typed_value("true".into()), Value::from(true));
        for text in ["", "null", "~", "007", "x"] {
            assert_eq!(typed_value(text.into()), Value::from(text));
        }
    }
}
