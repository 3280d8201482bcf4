//! The schema check, and its errors in house words.
//!
//! The validator judges; this module says at which line, what was expected, and what was probably meant. Of several errors about
//! one value the most telling is kept. Rule: no finding repeats a value.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Fault;
use serde_json::Value;

use super::mask;
use super::node::{Entry, Index, Kind, Lowered, Node, dotted, push, shown, shown_pointer};
use super::read::Reading;
use super::scalar::{self, Plain};
use super::shape::{Shape, Spot};
use crate::base::{MoneyError, UnitError};
use crate::spec::budget::BudgetUnitError;
use crate::spec::codes;
use crate::spec::suggest::nearest;
use crate::spec::{Diagnostic, Location};

/// Checks what was read against its schema.
pub(super) fn check(root: &Node, lowered: &Lowered, reading: &mut Reading<'_>, shape: &'static Shape) {
    let Some(validator) = shape.validator() else {
        reading.found.push(Diagnostic::error(codes::UNFIT, "the schema of this build is broken"));
        return;
    };
    let errors: Vec<ValidationError<'_>> = validator.iter_errors(&lowered.value).collect();
    let mut check = Check {
        index: Index::new(root, !errors.is_empty()),
        lowered,
        reading,
        shape,
        told: BTreeSet::new(),
        meant: BTreeSet::new(),
        written: BTreeSet::new(),
    };
    for rank in 0..3 {
        errors.iter().filter(|error| rank_of(error.kind()) == rank).for_each(|error| check.explain(error));
    }
}

/// The order in which errors are told; later ones may follow from earlier ones. A field that was misspelt is missing too, and a
/// value of another kind is none of the possible words.
const fn rank_of(fault: &Fault) -> u8 {
    match fault {
        Fault::AdditionalProperties { .. } => 0,
        Fault::Type { .. } => 1,
        _ => 2,
    }
}

struct Check<'c, 'r> {
    index: Index<'c>,
    lowered: &'c Lowered,
    reading: &'c mut Reading<'r>,
    shape: &'static Shape,
    /// Places about which something was said.
    told: BTreeSet<String>,
    /// Fields that are there under a misspelt name.
    meant: BTreeSet<String>,
    /// Findings by place, code and field: what aliases repeat is wrong once.
    written: BTreeSet<(Option<Location>, &'static str, String)>,
}

/// A place with an error, from every side.
struct Place<'p> {
    pointer: &'p str,
    /// The place's name in messages.
    name: String,
    node: &'p Node,
    entry: Option<&'p Entry>,
    spot: Spot<'static>,
}

impl Place<'_> {
    /// Where the value stands; its key where there is no value.
    fn value(&self) -> Location {
        match self.entry {
            Some(entry) if self.node.at.start == self.node.at.end => entry.at,
            Some(_) | None => self.node.at,
        }
    }

    /// Where a map begins: at its name, or at its first key.
    fn opening(&self) -> Location {
        match (self.entry, self.node.entries().first()) {
            (Some(entry), _) => entry.at,
            (None, Some(first)) => first.at,
            (None, None) => self.node.at,
        }
    }

    /// Whether a secret may stand here: where one belongs, and where a map that holds one was cut short to the secret itself.
    fn may_be_secret(&self) -> bool {
        self.spot.is_sensitive() || (!matches!(self.node.kind, Kind::Map(_)) && self.spot.holds_secrets())
    }

    /// Whether a plain text stands where a reference to a secret belongs.
    fn is_secret_literal(&self) -> bool {
        self.spot.is_sensitive() && self.spot.takes("object") && matches!(self.node.kind, Kind::Scalar(_)) && !self.node.is_null()
    }
}

impl Check<'_, '_> {
    fn explain(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        if self.lowered.spans.is_unresolved(pointer) {
            return;
        }
        let Some(node) = self.index.node(pointer) else { return };
        let name = if pointer.is_empty() { self.shape.whole.to_owned() } else { format!("`{}`", dotted(pointer)) };
        let place = Place { pointer, name, node, entry: self.index.entry(pointer), spot: self.shape.at(pointer) };
        match error.kind() {
            Fault::AdditionalProperties { unexpected } => {
                let absent: Vec<&str> = place.spot.fields().into_iter().filter(|known| node.entry(known).is_none()).collect();
                unexpected.iter().for_each(|field| self.unknown(&place, field, &absent));
            }
            Fault::Required { property } => self.missing(&place, property.as_str().unwrap_or_default()),
            fault => {
                if self.told.insert(pointer.to_owned()) {
                    let problem = describe(&place, fault, error);
                    self.tell(&place, problem);
                }
            }
        }
    }

    fn tell(&mut self, place: &Place<'_>, problem: Diagnostic) {
        let problem = if place.may_be_secret() {
            mask::whole(place.node, &mut self.reading.sources);
            problem.sensitive()
        } else {
            problem
        };
        self.write(problem.pointer(shown_pointer(place.pointer)), "");
    }

    fn write(&mut self, problem: Diagnostic, field: &str) {
        if self.written.insert((problem.location, problem.code, field.to_owned())) {
            self.reading.found.push(problem);
        }
    }

    /// Reports a field that does not exist; `absent` are those that do and are not there.
    fn unknown(&mut self, place: &Place<'_>, field: &str, absent: &[&str]) {
        // Reported already: keys are not interpolated.
        if field.contains("${") {
            return;
        }
        let mut pointer = place.pointer.to_owned();
        push(&mut pointer, field);
        let within = if place.pointer.is_empty() { String::new() } else { format!(" in {}", place.name) };
        let help = match nearest(field, absent.iter().copied()) {
            Some(near) => {
                let mut meant = place.pointer.to_owned();
                push(&mut meant, near);
                self.meant.insert(meant);
                format!("did you mean `{near}`?")
            }
            None => format!("fields: {}", quoted(&place.spot.fields())),
        };
        if place.spot.is_sensitive() {
            mask::whole(place.node, &mut self.reading.sources);
        }
        if place.spot.is_choice() {
            // How many keys it has is the same mistake.
            self.told.insert(place.pointer.to_owned());
        }
        let at = self.index.entry(&pointer).map(|entry| entry.at);
        let problem = Diagnostic::error(codes::UNKNOWN_FIELD, format!("unknown field `{}`{within}", shown(field)));
        self.write(problem.at(at).pointer(shown_pointer(&pointer)).help(help), field);
    }

    fn missing(&mut self, place: &Place<'_>, field: &str) {
        let mut pointer = place.pointer.to_owned();
        push(&mut pointer, field);
        // What is missing may stand in a file that could not be read.
        if self.reading.incomplete || self.meant.contains(&pointer) {
            return;
        }
        let help = match (field, place.spot.member(field).description()) {
            ("version", _) => "begin with `version: 1`".to_owned(),
            (_, Some(description)) => format!("`{field}`: {description}"),
            (_, None) => format!("add `{field}`"),
        };
        let message = format!("{} has no `{field}`", place.name);
        let problem = Diagnostic::error(codes::MISSING_FIELD, message).at(Some(place.opening())).pointer(shown_pointer(place.pointer));
        self.write(problem.help(help), field);
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Describes what is wrong with one value.
fn describe(place: &Place<'_>, fault: &Fault, error: &ValidationError<'_>) -> Diagnostic {
    let problem = match fault {
        _ if place.is_secret_literal() => secret_literal(place),
        Fault::Type { .. } => wrong_kind(place),
        Fault::Constant { .. } if place.pointer == "/version" => {
            Diagnostic::error(codes::VERSION, "this build reads version 1 of the format").help("write `version: 1`")
        }
        Fault::Enum { .. } | Fault::Constant { .. } => not_a_choice(place),
        Fault::Pattern { pattern } => malformed(place, pattern),
        Fault::MinLength { .. } if unit(place).is_none() => Diagnostic::error(codes::TOO_FEW, format!("{} is empty", place.name)),
        Fault::MinLength { .. } => malformed(place, ""),
        Fault::MinItems { .. } => Diagnostic::error(codes::TOO_FEW, format!("{} needs at least one entry", place.name)),
        Fault::MinProperties { .. } if !place.spot.is_choice() => {
            Diagnostic::error(codes::TOO_FEW, format!("{} needs at least one entry", place.name))
        }
        Fault::MinProperties { .. } | Fault::MaxProperties { .. } => {
            let message = format!("{} takes exactly one of {}", place.name, quoted(&place.spot.fields()));
            Diagnostic::error(codes::EXACTLY_ONE, message)
        }
        Fault::Minimum { limit } => out_of_range(place, "at least", limit),
        Fault::Maximum { limit } => out_of_range(place, "at most", limit),
        Fault::ExclusiveMinimum { limit } => out_of_range(place, "more than", limit),
        Fault::ExclusiveMaximum { limit } => out_of_range(place, "less than", limit),
        _ => Diagnostic::error(codes::UNFIT, format!("{}: {}", place.name, error.masked())),
    };
    problem.at(Some(place.value()))
}

fn out_of_range(place: &Place<'_>, bound: &str, limit: &Value) -> Diagnostic {
    Diagnostic::error(codes::OUT_OF_RANGE, format!("{} must be {bound} {limit}", place.name))
}

fn secret_literal(place: &Place<'_>) -> Diagnostic {
    let message = format!("{} holds a text where a reference to a secret belongs", place.name);
    let help = format!("write {}; if the text is a key and was ever committed, revoke it", place.spot.expected());
    Diagnostic::error(codes::SECRET_LITERAL, message).help(help)
}

/// Returns what the spellings of a quantity are, where one is meant.
fn unit(place: &Place<'_>) -> Option<String> {
    match place.spot.name() {
        Some("Duration") => Some(UnitError::Duration.to_string()),
        Some("Size") => Some(UnitError::Size.to_string()),
        Some("Pace" | "LongRateLimit") => Some(UnitError::Pace.to_string()),
        Some("Money") => Some(MoneyError.to_string()),
        Some("Percent") => Some(BudgetUnitError::Percent.to_string()),
        _ => None,
    }
}

fn wrong_kind(place: &Place<'_>) -> Diagnostic {
    let expected = place.spot.expected();
    let (value, plain) = match &place.node.kind {
        Kind::Scalar(scalar) => (Some(&scalar.value), scalar.plain),
        Kind::List(_) | Kind::Map(_) => (None, false),
    };
    match value {
        Some(Value::Null) => {
            let message = format!("{} has no value", place.name);
            return Diagnostic::error(codes::NO_VALUE, message).help(format!("remove the line, or give it {expected}"));
        }
        Some(Value::Number(_)) if let Some(unit) = unit(place) => {
            return Diagnostic::error(codes::UNIT, format!("{} needs a unit", place.name)).help(unit);
        }
        Some(Value::String(text)) if plain && place.spot.takes("boolean") && scalar::is_yaml11_boolean(text) => {
            let message = format!("{} must be `true` or `false`", place.name);
            return Diagnostic::error(codes::YES_NO, message).help("`yes`, `no`, `on` and `off` are texts in YAML 1.2");
        }
        _ => {}
    }
    let problem = Diagnostic::error(codes::WRONG_TYPE, format!("{} must be {expected}, not {}", place.name, kind(&place.node.kind)));
    match value {
        Some(Value::Number(_) | Value::Bool(_)) if place.spot.takes("string") && place.spot.words().is_empty() => problem.help("quote it"),
        Some(Value::String(text)) if !plain && matches!(scalar::resolve(text), Plain::Value(_)) => problem.help("remove the quotes"),
        Some(_) if place.spot.takes("array") => problem.help("write a list: `[…]`"),
        _ => problem,
    }
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::List(_) => "a list",
        Kind::Map(_) => "a map",
        Kind::Scalar(scalar) => match scalar.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) | Value::Array(_) | Value::Object(_) => "a text",
        },
    }
}

fn not_a_choice(place: &Place<'_>) -> Diagnostic {
    let problem = Diagnostic::error(codes::NOT_A_CHOICE, format!("{} must be {}", place.name, place.spot.expected()));
    match place.node.text().and_then(|text| nearest(text, place.spot.words())) {
        Some(near) if !place.spot.is_sensitive() => problem.help(format!("did you mean `{near}`?")),
        Some(_) | None => problem,
    }
}

fn malformed(place: &Place<'_>, pattern: &str) -> Diagnostic {
    if let Some(unit) = unit(place) {
        return Diagnostic::error(codes::UNIT, format!("{} must be {}", place.name, place.spot.expected())).help(unit);
    }
    let problem = Diagnostic::error(codes::MALFORMED, format!("{} is malformed", place.name));
    match (place.spot.name(), place.spot.description_of(pattern)) {
        (Some("Digest"), _) => {
            problem.help("a digest is 64 hex digits, as `bifrostctl key hash` prints it; the key itself never stands here")
        }
        (_, Some(description)) => problem.help(description),
        (_, None) => problem,
    }
}
