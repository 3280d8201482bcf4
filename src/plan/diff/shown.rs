//! Values and lists of names in a few words. Not escaped: the renderers do that.

use serde_json::Value;

/// Characters of a value that a summary shows.
const SHOWN: usize = 48;

/// Returns `before → after`.
pub(super) fn arrow(before: &Value, after: &Value) -> String {
    format!("{} → {}", value(before), value(after))
}

/// Returns a value in a few words; long ones are cut.
pub(super) fn value(value: &Value) -> String {
    let mut text = whole(value);
    if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

fn whole(value: &Value) -> String {
    match value {
        Value::Null => "unset".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => word(text),
        Value::Array(items) if items.is_empty() => "nothing".to_owned(),
        Value::Array(items) => items.iter().map(whole).collect::<Vec<_>>().join(", "),
        Value::Object(members) => match members.iter().next() {
            // References and tagged values: `env OPENAI_API_KEY`, `file /run/secrets/key`, `header api-key`.
            Some((tag, Value::String(text))) if members.len() == 1 => format!("{tag} {}", word(text)),
            _ => value.to_string(),
        },
    }
}

/// Returns a word as it is, anything else between quotes; midnight is a day.
fn word(text: &str) -> String {
    if let Some(day) = text.strip_suffix("T00:00:00Z").filter(|day| day.len() == "2026-12-01".len()) {
        return day.to_owned();
    }
    let plain = !text.is_empty() && text.chars().all(|it| !it.is_whitespace() && !it.is_control() && !matches!(it, '"' | '\'' | ',' | '`'));
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// Returns a name between backticks; its own backticks cannot end them, and a long one is cut.
pub(super) fn name(name: &str) -> String {
    let short: String = name.chars().take(SHOWN).map(|it| if it == '`' { '\'' } else { it }).collect();
    let more = if short.len() < name.len() { "…" } else { "" };
    format!("`{short}{more}`")
}

/// Returns up to three names between backticks, and how many more there are.
pub(super) fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().collect();
    let shown: Vec<String> = all.iter().take(3).map(|it| name(it)).collect();
    match all.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns `1 key`, `2 keys`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_the_spec_writes_them() {
        for (json, expected) in [
            (json!(null), "unset"),
            (json!(3), "3"),
            (json!("1m30s"), "1m30s"),
            (json!(""), "\"\""),
            (json!("two words"), "\"two words\""),
            (json!("2026-12-01T00:00:00Z"), "2026-12-01"),
            (json!("2026-12-01T10:00:00Z"), "2026-12-01T10:00:00Z"),
            (json!({"env": "OPENAI_API_KEY"}), "env OPENAI_API_KEY"),
            (json!({"file": "/run/my key"}), "file \"/run/my key\""),
            (json!(["a", "b"]), "a, b"),
            (json!([]), "nothing"),
            (json!({"a": 1, "b": 2}), "{\"a\":1,\"b\":2}"),
        ] {
            assert_eq!(value(&json), expected);
        }
        assert_eq!(value(&json!("é".repeat(80))).chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_name_cannot_leave_its_backticks() {
        assert_eq!(name("a`b"), "`a'b`");
        assert_eq!(names(["a", "b", "c", "d", "e"]), "`a`, `b`, `c` and 2 more");
        assert_eq!(names(["a"]), "`a`");
    }
}
