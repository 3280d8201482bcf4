//! Level `live`: the running gateway is asked whether it would take the spec. Nothing is applied.

use serde_json::{Map, Value};

use super::explain;
use crate::cli::codes::GATEWAY_REFUSES;
use crate::cli::context::Context;
use crate::cli::deploy::{self, Proposal, Verdict};
use crate::cli::exit::CommandError;
use crate::cli::input::{Bundle, Checked, Source};
use crate::cli::runtime;
use crate::control::codes::NEEDS_RESTART;
use crate::spec::{Diagnostic, Location, Sources};

/// Asks for a dry run.
///
/// # Errors
/// When the gateway cannot be asked; what it says of the spec is no error but findings.
pub(super) fn ask(checked: &Checked, source: &Source, context: &mut Context<'_>) -> Result<Vec<Diagnostic>, CommandError> {
    let admin = context.admin()?;
    let bundle = Bundle::new(&checked.loaded.sources, &source.paths);
    let proposal = Proposal::spec(&bundle, Map::new());
    let (_, verdict) = runtime::block_on(deploy::dry_run(&admin, &proposal))?;
    Ok(match verdict {
        Verdict::Unchanged { .. } | Verdict::Accepted { .. } | Verdict::Stale { .. } => Vec::new(),
        Verdict::Invalid { diagnostics, .. } => diagnostics.iter().map(|value| read(value, &checked.loaded.sources, &bundle)).collect(),
        Verdict::Refused { code, changes, .. } if code == "needs_restart" => changes
            .iter()
            .map(|change| {
                let pointer = change.get("pointer").and_then(Value::as_str).unwrap_or_default();
                let path = change.get("path").and_then(Value::as_str).unwrap_or(pointer);
                Diagnostic::warning(NEEDS_RESTART, format!("the running gateway cannot change `{path}`"))
                    .at(checked.loaded.spans.value(pointer))
                    .pointer(pointer)
                    .help("start it anew with the new spec")
            })
            .collect(),
        Verdict::Refused { message, .. } => vec![Diagnostic::warning(GATEWAY_REFUSES, message)],
    })
}

/// Reads a diagnostic that the gateway made of the texts that it was sent.
pub(crate) fn read(value: &Value, sources: &Sources, bundle: &Bundle) -> Diagnostic {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let message = text("/message").unwrap_or("no reason given");
    let (code, message) = match text("/code").map(explain::find) {
        Some(Ok(code)) => (code.code, message.to_owned()),
        // A newer gateway may know more codes than we do.
        Some(Err(_)) => (GATEWAY_REFUSES, format!("{}: {message}", text("/code").unwrap_or_default())),
        None => (GATEWAY_REFUSES, message.to_owned()),
    };
    let mut diagnostic = match text("/severity") {
        Some("warning") => Diagnostic::warning(code, message),
        Some("info") => Diagnostic::info(code, message),
        Some(_) | None => Diagnostic::error(code, message),
    };
    diagnostic.pointer = text("/pointer").map(ToOwned::to_owned);
    diagnostic.help = text("/help").map(ToOwned::to_owned);
    diagnostic.at(place(value, sources, bundle))
}

/// Finds the blamed place in our own copy of the file.
fn place(value: &Value, sources: &Sources, bundle: &Bundle) -> Option<Location> {
    let named = value.get("file").and_then(Value::as_str)?;
    let text = bundle.files.get(named)?;
    let file = sources.0.iter().position(|source| source.text == *text && source.path.ends_with(named))?;
    let number = |name: &str| value.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    let start = byte(text, number("line")?, number("column")?)?;
    let end = number("end_line").zip(number("end_column")).and_then(|(line, column)| byte(text, line, column));
    Some(Location { file, start, end: end.filter(|end| *end >= start).unwrap_or(start) })
}

/// Turns a line and a column, both from 1, columns in characters, into a byte.
fn byte(text: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(before..)?;
    let within = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column.checked_sub(1)?)?;
    Some(before + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_a_column_are_found_again() {
        let text = "a\nö: b\nc";
        let at = |line, column| byte(text, line, column).map(|byte| &text[byte..]);
        assert_eq!(at(1, 1), Some(text));
        assert_eq!(at(2, 2), Some(": b\nc"));
        assert_eq!(at(3, 2), Some(""));
        assert_eq!((at(0, 1), at(1, 0), at(3, 3)), (None, None, None));
    }
}
