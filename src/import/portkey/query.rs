//! Conditions: Mongo-like queries as expressions over the facts of a request.
//!
//! Rule: a query that is not understood as a whole is not carried over at all.

use serde_json::Value;

use crate::import::tree::Cursor;

/// A condition in the words of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    pub(super) text: String,
    /// Whether it asks only for what a request itself says, and not for metadata.
    pub(super) is_exact: bool,
    /// Whether it asks for the model, which then is none of this alias.
    pub(super) is_about_model: bool,
}

/// Translates a query. None where something in it has no counterpart.
pub(super) fn translate(it: Cursor<'_>) -> Option<When> {
    let mut parts = Vec::new();
    for (name, value) in it.members() {
        parts.push(match name {
            "$and" => joined(value, " and ")?,
            "$or" => joined(value, " or ")?,
            field => asked(field, value)?,
        });
    }
    all(parts, " and ")
}

fn joined(it: Cursor<'_>, with: &str) -> Option<When> {
    let parts = it.items().map(translate).collect::<Option<Vec<_>>>()?;
    all(parts, with)
}

fn all(parts: Vec<When>, with: &str) -> Option<When> {
    let is_exact = parts.iter().all(|part| part.is_exact);
    let is_about_model = parts.iter().any(|part| part.is_about_model);
    let texts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
    match texts.len() {
        0 => None,
        1 => Some(When { text: texts.concat(), is_exact, is_about_model }),
        _ => Some(When { text: format!("({})", texts.join(with)), is_exact, is_about_model }),
    }
}

/// What a field is here.
enum Fact {
    Text(String),
    Number(&'static str),
    Flag(&'static str),
    Path,
}

fn fact(field: &str) -> Option<Fact> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if let Some(name) = field.strip_prefix("metadata.") {
        return is_name(name).then(|| Fact::Text(format!("(key.labels.{name} | default(\"\"))")));
    }
    match field {
        "params.model" => Some(Fact::Text("model".to_owned())),
        "params.max_tokens" | "params.max_completion_tokens" => Some(Fact::Number("tokens.max_output")),
        "params.stream" => Some(Fact::Flag("stream")),
        "url.pathname" => Some(Fact::Path),
        _ => None,
    }
}

/// Translates what is asked of one field.
fn asked(field: &str, it: Cursor<'_>) -> Option<When> {
    let fact = fact(field)?;
    let (is_exact, is_about_model) = (!field.starts_with("metadata."), field == "params.model");
    if it.is_leaf() {
        return Some(When { text: compare(&fact, "$eq", it)?, is_exact, is_about_model });
    }
    let parts = it
        .members()
        .map(|(operator, value)| Some(When { text: compare(&fact, operator, value)?, is_exact, is_about_model }))
        .collect::<Option<Vec<_>>>()?;
    all(parts, " and ")
}

fn compare(fact: &Fact, operator: &str, it: Cursor<'_>) -> Option<String> {
    match fact {
        Fact::Flag(flag) => match (operator, it.bool()?) {
            ("$eq", true) | ("$ne", false) => Some((*flag).to_owned()),
            ("$eq", false) | ("$ne", true) => Some(format!("not {flag}")),
            _ => None,
        },
        Fact::Number(number) => {
            let operator = [("$eq", "=="), ("$ne", "!="), ("$gt", ">"), ("$gte", ">="), ("$lt", "<"), ("$lte", "<=")]
                .into_iter()
                .find(|(theirs, _)| *theirs == operator)?
                .1;
            Some(format!("{number} {operator} {}", it.whole()?))
        }
        Fact::Path => {
            let endpoint = match it.text()? {
                "/v1/chat/completions" | "/chat/completions" => "chat",
                "/v1/completions" | "/completions" => "completions",
                "/v1/embeddings" | "/embeddings" => "embeddings",
                _ => return None,
            };
            match operator {
                "$eq" => Some(format!("endpoint == \"{endpoint}\"")),
                "$ne" => Some(format!("endpoint != \"{endpoint}\"")),
                _ => None,
            }
        }
        Fact::Text(subject) => text(subject, operator, it),
    }
}

fn text(subject: &str, operator: &str, it: Cursor<'_>) -> Option<String> {
    let list = |it: Cursor<'_>| -> Option<String> {
        let texts = it.items().map(said).collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())?;
        Some(format!("[{}]", texts.join(", ")))
    };
    match operator {
        "$eq" => Some(format!("{subject} == {}", said(it)?)),
        "$ne" => Some(format!("{subject} != {}", said(it)?)),
        "$in" => Some(format!("{subject} in {}", list(it)?)),
        "$nin" => Some(format!("{subject} not in {}", list(it)?)),
        "$regex" => {
            let pattern = it.text()?;
            let (begins, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
            let (ends, word) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
            let is_plain =
                !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | ':' | '@' | ' '));
            let word = quoted(word);
            match (begins, ends) {
                _ if !is_plain => None,
                (true, true) => Some(format!("{subject} == {word}")),
                (true, false) => Some(format!("{subject} is startingwith({word})")),
                (false, true) => Some(format!("{subject} is endingwith({word})")),
                (false, false) => Some(format!("{word} in {subject}")),
            }
        }
        _ => None,
    }
}

/// Returns a text, a number or a flag as the text that labels hold.
fn said(it: Cursor<'_>) -> Option<String> {
    let text =
        it.text().map(str::to_owned).or_else(|| it.bool().map(|flag| flag.to_string())).or_else(|| it.number().map(ToString::to_string))?;
    Some(quoted(&text))
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
