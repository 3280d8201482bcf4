//! Values as they are put into a line: flow style, texts in quotes, so that every version of YAML reads them alike.

use serde_json::Value;

/// Writes a value.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{}: {}", self::name(name), self::value(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// Writes the name of a member: bare where it is a word.
pub(super) fn name(name: &str) -> String {
    const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { Value::String(name.to_owned()).to_string() }
}
