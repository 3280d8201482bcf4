//! Diagnostics as text: for a person, for programs, for a pull request.
//!
//! Not a judge: what is wrong was found elsewhere, and every format holds all of it. Rules: no byte range that is marked as
//! redacted, and no place of a diagnostic that is marked as sensitive, is ever shown; nothing from a file or a message reaches a
//! terminal as a control character; columns count characters from 1.

mod github;
mod human;
mod json;
mod markdown;
mod place;
mod sarif;
mod shown;

pub use github::github;
pub use human::human;
pub use json::json;
pub use markdown::markdown;
pub(crate) use markdown::{code, prose};
pub use sarif::sarif;

pub(super) use shown::is_visible;

use super::{Diagnostic, Severity};

/// Sorts as a reader goes through files: findings without a place first, then by file and byte.
fn in_file_order(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| diagnostic.location.map(|location| (location.file, location.start)));
    sorted
}

/// Sorts errors first, each severity in file order.
fn by_severity(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted = in_file_order(diagnostics);
    sorted.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity));
    sorted
}

/// Counts, as in `3 errors, 1 warning`.
fn tally<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let (mut errors, mut warnings, mut notes) = (0_usize, 0_usize, 0_usize);
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
            Severity::Info => notes += 1,
        }
    }
    let counts = [(errors, "error"), (warnings, "warning"), (notes, "note")];
    let named = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<String> = named.map(|(count, name)| format!("{count} {name}{}", if *count == 1 { "" } else { "s" })).collect();
    if named.is_empty() { "no errors, no warnings".to_owned() } else { named.join(", ") }
}
