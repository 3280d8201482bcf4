//! A diff as text: for a terminal, and for a comment on a pull request.
//!
//! Rule: what the user wrote is escaped here and only here; control characters and marks that turn the direction of text are shown, never sent.

mod detail;
mod escape;
mod human;
mod markdown;

use super::{Change, Risk};
use crate::spec::{Sources, Spans};

pub use human::human;
pub use markdown::{MARKDOWN_MAX_CHARS, markdown};

/// Where a change stands in the new files: `gateway.yaml:31:9`.
pub type Place<'a> = dyn Fn(&Change) -> Option<String> + 'a;

/// Knows no place.
pub fn nowhere(_: &Change) -> Option<String> {
    None
}

/// Finds places in the files that the new plan was loaded from. What was removed has none.
pub fn places<'a>(spans: &'a Spans, sources: &'a Sources) -> impl Fn(&Change) -> Option<String> + 'a {
    |change| match change.action {
        super::Action::Removed => None,
        super::Action::Added | super::Action::Changed => sources.place(spans.value(&change.spec_pointer())?),
    }
}

/// Returns the word for a risk; the highest one shouts.
const fn risk_word(risk: Risk) -> &'static str {
    match risk {
        Risk::High => "HIGH",
        Risk::None | Risk::Low | Risk::Medium => risk.word(),
    }
}
