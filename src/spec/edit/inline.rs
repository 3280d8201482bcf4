//! Values as they are put into a line: flow style, texts in quotes, so that every version of YAML reads them alike.

use serde_json::Value;

/// How names of members are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Bare where they are words.
    Bare,
    /// In quotes, as JSON has them.
    Quoted,
}

impl Names {
    /// Returns how a file's names are written: one that is a map in braces as a whole may be JSON, and stays so.
    pub(super) fn of(text: &str) -> Self {
        if text.trim_start().starts_with('{') { Self::Quoted } else { Self::Bare }
    }

    /// Writes a value.
    pub(super) fn value(self, value: &Value) -> String {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
            Value::Array(items) => format!("[{}]", items.iter().map(|item| self.value(item)).collect::<Vec<_>>().join(", ")),
            Value::Object(members) => {
                let members: Vec<String> = members.iter().map(|(name, value)| self.member(name, value)).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// Writes a member of a map.
    pub(super) fn member(self, name: &str, value: &Value) -> String {
        let name = if self == Self::Bare { bare(name) } else { Value::String(name.to_owned()).to_string() };
        format!("{name}: {}", self.value(value))
    }
}

/// Writes a name bare where it is a word.
fn bare(name: &str) -> String {
    const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { Value::String(name.to_owned()).to_string() }
}
