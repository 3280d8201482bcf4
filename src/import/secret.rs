//! Secrets on their way: references stay references, what stands in the file itself becomes the name of a variable, or a digest.
//!
//! Rule: only this module looks at the text of a secret, and nothing of it leaves but a digest.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Cursor;
use crate::base::Digest;
use crate::spec::SecretRef;

/// How a file refers to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// LiteLLM's `os.environ/NAME`.
    OsEnviron,
    /// Bifrost's `env.NAME`.
    EnvDot,
    /// Portkey's `{{NAME}}`, which its users fill in.
    Braces,
}

impl Spelling {
    /// Returns the variable that a text refers to.
    pub(super) fn variable(self, text: &str) -> Option<&str> {
        let name = match self {
            Self::OsEnviron => text.strip_prefix("os.environ/")?,
            Self::EnvDot => text.strip_prefix("env.")?,
            Self::Braces => text.strip_prefix("{{")?.strip_suffix("}}")?.trim(),
        };
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !super::tree::looks_secret(name)).then_some(name)
    }
}

/// What stands where a secret belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// A variable.
    Variable(String),
    /// The secret itself.
    Literal(Digest),
    /// A word that servers without keys are given.
    Placeholder,
}

/// What people write where a server wants no key but its client library does.
const PLACEHOLDERS: [&str; 14] = [
    "none",
    "null",
    "empty",
    "anything",
    "dummy",
    "fake",
    "fake-key",
    "not-needed",
    "no-key",
    "na",
    "n/a",
    "placeholder",
    "sk-none",
    "not_needed",
];

/// Looks at a secret's text.
pub(super) fn held(it: Cursor<'_>, spelling: Spelling) -> Option<Held> {
    let text = it.secret().map(str::trim).filter(|text| !text.is_empty())?;
    if let Some(name) = spelling.variable(text) {
        return Some(Held::Variable(name.to_owned()));
    }
    let is_placeholder = PLACEHOLDERS.iter().any(|word| word.eq_ignore_ascii_case(text));
    Some(if is_placeholder { Held::Placeholder } else { Held::Literal(Digest::of(text.as_bytes())) })
}

/// Returns how many characters a secret has, which tells whether its digest can be guessed.
pub(super) fn length(it: Cursor<'_>) -> usize {
    it.secret().map_or(0, |text| text.trim().chars().count())
}

/// The names of variables that stand for secrets of the file.
#[derive(Debug, Default)]
pub(super) struct Variables {
    taken: BTreeSet<String>,
    by_digest: BTreeMap<Digest, String>,
}

impl Variables {
    /// Keeps the names that the file itself refers to from standing for anything else.
    pub(super) fn reserve(&mut self, root: Cursor<'_>, spelling: Spelling) {
        let names = root.leaves().into_iter().filter_map(|leaf| spelling.variable(leaf.secret()?));
        self.taken.extend(names.map(str::to_owned));
    }

    /// Keeps a name from standing for anything else.
    pub(super) fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Returns the variable that is to hold a secret: the same for the same secret, else a new one named after a wish.
    pub(super) fn name(&mut self, secret: Digest, wish: &str) -> String {
        if let Some(name) = self.by_digest.get(&secret) {
            return name.clone();
        }
        let wish = variable_name(wish);
        let numbered = (2..).map(|number| format!("{wish}_{number}"));
        let free = std::iter::once(wish.clone()).chain(numbered).find(|name| !self.taken.contains(name)).unwrap_or(wish);
        self.taken.insert(free.clone());
        self.by_digest.insert(secret, free.clone());
        free
    }

    /// Returns the reference to a secret, and whether somebody must set its variable first.
    pub(super) fn reference(&mut self, held: &Held, wish: &str) -> (SecretRef, bool) {
        match held {
            Held::Variable(name) => (SecretRef::Env(name.clone()), false),
            Held::Literal(digest) => (SecretRef::Env(self.name(*digest, wish)), true),
            Held::Placeholder => (SecretRef::None, false),
        }
    }
}

/// Says what is to be done about a secret that stands in the file.
pub(super) fn set(variable: &str) -> String {
    format!(
        "the secret itself stands in the source: set {variable} to it where the gateway runs, and replace it if others have seen the file"
    )
}

/// Makes the name of a variable of any text: upper case, everything else as `_`.
pub(super) fn variable_name(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_secrets() {
        assert_eq!(Spelling::OsEnviron.variable("os.environ/OPENAI_API_KEY"), Some("OPENAI_API_KEY"));
        assert_eq!(Spelling::EnvDot.variable("env.KEY_2"), Some("KEY_2"));
        assert_eq!(Spelling::Braces.variable("{{ KEY }}"), Some("KEY"));
        for literal in ["os.environ/", "os.environ/a b", "os.environ/1X", "OPENAI_API_KEY", "os.environ/sk-proj-abcdefgh12345678abcdefgh"] {
            assert_eq!(Spelling::OsEnviron.variable(literal), None);
        }
    }

    #[test]
    fn one_secret_has_one_variable_and_two_have_two() {
        let mut variables = Variables::default();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(variables.name(a, "openai key"), "OPENAI_KEY");
        assert_eq!(variables.name(b, "OPENAI_KEY"), "OPENAI_KEY_2");
        assert_eq!(variables.name(a, "other"), "OPENAI_KEY");
        assert_eq!(variable_name("9x"), "_9X");
    }
}
