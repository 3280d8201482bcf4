//! `validate --explain`: what a code means and what to do about it.

use serde_json::{Value, json};

use crate::cli::codes;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::table_text;
use crate::spec::codes::Code;
use crate::{control, plan, spec};

/// Columns of explanations.
const WIDTH: usize = 80;

/// Returns every code there is, in order.
pub(crate) fn all() -> impl Iterator<Item = Code> {
    [spec::codes::CODES, plan::codes::CODES, control::codes::CODES, codes::CODES].into_iter().flatten().copied()
}

/// Finds a code, whatever its case.
///
/// # Errors
/// Says that there is no such code, and which one may have been meant.
pub(crate) fn find(code: &str) -> Result<Code, String> {
    if let Some(known) = all().find(|known| known.code.eq_ignore_ascii_case(code)) {
        return Ok(known);
    }
    let upper = code.to_ascii_uppercase();
    let near = all().map(|known| (strsim::damerau_levenshtein(&upper, known.code), known.code)).min();
    Err(match near {
        Some((1, near)) => format!("no such code; did you mean `{near}`?"),
        Some(_) | None => "no such code; `validate --explain list` lists them".to_owned(),
    })
}

/// Adds a code's title to a diagnostic in its JSON form.
pub(super) fn add_title(diagnostic: &mut Value) {
    let title = diagnostic.get("code").and_then(Value::as_str).and_then(|code| find(code).ok()).map(|code| code.title);
    if let (Some(title), Some(members)) = (title, diagnostic.as_object_mut()) {
        members.insert("title".to_owned(), json!(title));
    }
}

pub(super) fn run(code: &str) -> Result<Outcome, CommandError> {
    let value = |code: &Code| json!({"code": code.code, "title": code.title, "explanation": code.explanation});
    if code == "list" {
        let rows: Vec<Vec<String>> = all().map(|code| vec![code.code.to_owned(), code.title.to_owned()]).collect();
        return Ok(Outcome::ok("")
            .text(table_text::table(&rows))
            .result(json!({"codes": all().map(|code| value(&code)).collect::<Vec<_>>()})));
    }
    let code = find(code).map_err(|error| CommandError::usage(format!("--explain {code}: {error}")))?;
    let text = format!("{}: {}\n\n{}", code.code, code.title, wrapped(code.explanation));
    Ok(Outcome::ok("").text(text).result(value(&code)))
}

fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            lines.push('\n');
            column = 0;
        }
        if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_meaning_and_stands_in_order() {
        let codes: Vec<&str> = all().map(|code| code.code).collect();
        let set: BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(codes, set.into_iter().collect::<Vec<_>>());
        for code in codes::CODES {
            assert!(code.explanation.ends_with('.') && !code.title.ends_with('.'), "{}", code.code);
        }
    }

    #[test]
    fn a_mistyped_code_is_told_what_it_may_have_been() {
        assert_eq!(find("bf0207").unwrap().code, "BF0207");
        assert!(find("BF0208x").unwrap_err().contains("did you mean `BF0208`?"));
        assert!(find("X").unwrap_err().contains("--explain list"));
    }
}
