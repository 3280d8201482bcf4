//! How a model's entry is found by the names that requests use for it.
//!
//! Rule: nothing is guessed. A term that leaves part of a name open takes only what is plainly a version of the same model: dates,
//! revisions, `latest`, `preview`; a word more is another model, and has no price until somebody states one.

use std::fmt;

/// A way in which a model may be named. Texts are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Term {
    /// The whole name; `#` stands for a digit.
    Equals(String),
    /// Its beginning.
    StartsWith(String),
    /// Its end.
    EndsWith(String),
    /// Any part of it.
    Contains(String),
}

impl Term {
    /// Reads a term as the catalogue's file has it: `=whole`, `^beginning`, `$end`, `~part`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let sign = chars.next()?;
        let rest = chars.as_str().to_owned();
        match sign {
            '=' => Some(Self::Equals(rest)),
            '^' => Some(Self::StartsWith(rest)),
            '$' => Some(Self::EndsWith(rest)),
            '~' => Some(Self::Contains(rest)),
            _ => None,
        }
    }

    /// Returns whether `name`, in lower case, is a name of the model.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Equals(whole) => equals(whole, name),
            // The name of a fine-tuned model goes on with whatever its owner likes; the price is the same for all.
            Self::StartsWith(beginning) if beginning.contains("ft:") || beginning.contains(".ft-") => name.starts_with(beginning.as_str()),
            Self::StartsWith(beginning) => name.strip_prefix(beginning.as_str()).is_some_and(is_version),
            Self::EndsWith(end) => name.strip_suffix(end.as_str()).is_some_and(is_place),
            Self::Contains(part) => name.match_indices(part.as_str()).any(|(at, _)| {
                let (before, after) = (name.get(..at).unwrap_or_default(), name.get(at + part.len()..).unwrap_or_default());
                is_place(before) && is_version(after)
            }),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => write!(f, "={text}"),
            Self::StartsWith(text) => write!(f, "^{text}"),
            Self::EndsWith(text) => write!(f, "${text}"),
            Self::Contains(text) => write!(f, "~{text}"),
        }
    }
}

fn equals(pattern: &str, name: &str) -> bool {
    pattern.len() == name.len()
        && pattern.bytes().zip(name.bytes()).all(|(wanted, byte)| wanted == byte || (wanted == b'#' && byte.is_ascii_digit()))
}

/// Returns whether what follows a model's name only says which version of it is meant: a date, a revision, `latest`, `preview`. A bare
/// small number is another model: after `claude-opus-4` comes `-1`.
fn is_version(rest: &str) -> bool {
    let words = || rest.split(['-', '@', ':', '.']);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_dated = words().any(|word| (word.len() == 4 && word.starts_with("20") && is_digits(word)) || ["preview", "exp"].contains(&word));
    let is_known = |word: &str| {
        word.is_empty()
            || (is_digits(word) && (is_dated || word.len() >= 3))
            || word.strip_prefix('v').is_some_and(is_digits)
            || ["latest", "preview", "exp", "experimental", "default"].contains(&word)
    };
    // Behind the colon stands the revision of a model of Bedrock's: `-v1:0`.
    let (named, revision) = rest.rsplit_once(':').unwrap_or((rest, ""));
    named.split(['-', '@', ':', '.']).all(is_known) && (is_digits(revision) || is_known(revision))
}

/// Returns whether what stands before a model's name only says who made it, or that it runs in the United States: `us.anthropic.`. Other
/// parts of the world have prices of their own, which only a term that names them tells.
fn is_place(before: &str) -> bool {
    let vendors = before.strip_prefix("us.").unwrap_or(before);
    vendors.is_empty() || ["ai21.", "amazon.", "anthropic.", "cohere.", "deepseek.", "meta.", "mistral.", "openai."].contains(&vendors)
}

/// Rewrites a date in one piece as one in three: `-20251211` → `-2025-12-11`. None where there is none.
pub(super) fn with_dashed_date(name: &str) -> Option<String> {
    name.match_indices('-').find_map(|(dash, _)| {
        let date = name.get(dash + 1..dash + 9)?;
        let after = name.get(dash + 9..)?;
        if !date.starts_with("20") || !date.bytes().all(|byte| byte.is_ascii_digit()) || after.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..8)?);
        let whole = format!("{year}-{month}-{day}");
        whole.parse::<jiff::civil::Date>().ok()?;
        Some(format!("{}{whole}{after}", name.get(..=dash)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(term: &str, name: &str) -> bool {
        Term::parse(term).unwrap().matches(name)
    }

    #[test]
    fn a_version_of_a_model_is_the_model_and_a_word_more_is_another_one() {
        for name in ["gpt-5-nano-", "gpt-5-nano-2025-08-07", "gpt-5-nano-latest", "gpt-5-nano-preview-09-2025", "gpt-5-nano-v2:0"] {
            assert!(matches("^gpt-5-nano", name), "{name}");
        }
        for name in [
            "gpt-5-nano-image",
            "gpt-5-nanox",
            "gpt-5-nano-8b",
            "gpt-5-nano:free",
            "my-gpt-5-nano",
            "gpt-5-nano-v",
            "gpt-5-nano-1",
            "gpt-5-nano.2",
        ] {
            assert!(!matches("^gpt-5-nano", name), "{name}");
        }
        assert!(matches("~claude-opus-5@", "claude-opus-5@20260101") && !matches("~claude-opus-5@", "claude-opus-5"));
    }

    #[test]
    fn a_place_before_a_model_is_no_other_model() {
        for name in ["amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0", "nova-lite", "us.nova-lite"] {
            assert!(matches("~nova-lite", name), "{name}");
        }
        for name in ["supernova-lite", "x/nova-lite", "eu.amazon.nova-lite-v1:0", "us-gov.nova-lite", "my.nova-lite"] {
            assert!(!matches("~nova-lite", name), "{name}");
        }
        assert!(matches("~eu.amazon.nova-lite", "eu.amazon.nova-lite-v1:0") && !matches("$nova-lite", "x/nova-lite"));
    }

    #[test]
    fn digits_stand_for_themselves_only_where_the_term_says_so() {
        assert!(matches("=gpt-6-sol-####-##-##", "gpt-6-sol-2026-09-22"));
        assert!(!matches("=gpt-6-sol-####-##-##", "gpt-6-sol-2026-09-2x") && !matches("=gpt-6-sol", "gpt-6-sol-2026-09-22"));
        assert!(matches("^ft:gpt-4o-2024-", "ft:gpt-4o-2024-08-06:acme::abc"));
        assert_eq!(Term::parse("gpt"), None);
    }

    #[test]
    fn a_date_in_one_piece_is_found() {
        assert_eq!(with_dashed_date("gpt-5.2-20251211").as_deref(), Some("gpt-5.2-2025-12-11"));
        assert_eq!(with_dashed_date("claude-3-20251211-v1:0").as_deref(), Some("claude-3-2025-12-11-v1:0"));
        for name in ["gpt-5.2", "gpt-5.2-20251311", "gpt-5.2-202512110", "gpt-5-2025", "gpt-5.2-19991211"] {
            assert_eq!(with_dashed_date(name), None, "{name}");
        }
    }
}
