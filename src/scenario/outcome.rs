//! What a provider answers, from the words of a test to what the mock does.

use http::HeaderValue;

use crate::mock::Behaviour;
use crate::spec::Outcome;

/// What becomes of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// Nobody is there.
    NoConnection,
    /// The words that the mock is given; empty for a correct answer.
    Answered(HeaderValue),
}

/// The words of tests, and what they are called by the mock.
const WORDS: [(&str, &str); 14] = [
    ("ok", ""),
    ("rate_limit", "error=rate_limit"),
    ("quota", "error=insufficient_quota"),
    ("auth", "error=invalid_key"),
    ("overloaded", "error=overloaded"),
    ("server_error", "error=server_error"),
    ("bad_request", "error=bad_request"),
    ("context_length", "error=context_length"),
    ("content_filter", "error=content_filter"),
    ("timeout", "stall_at=start"),
    ("reset", "reset_at=start"),
    ("cut", "chunks=8;cut_at=event:4"),
    ("stall", "chunks=8;stall_at=event:4"),
    ("malformed", "malformed_at=0"),
];

/// Reads an outcome.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(super) fn fate(outcome: &Outcome) -> Result<Fate, String> {
    let text = outcome.0.trim();
    if text == "connect" {
        return Ok(Fate::NoConnection);
    }
    let known = |words: &str| WORDS.iter().find(|(word, _)| *word == words).map(|(_, line)| (*line).to_owned());
    let line = match (known(text), text.parse::<u16>()) {
        (Some(line), _) => line,
        (None, Ok(status)) if (200..600).contains(&status) => format!("status={status}"),
        (None, Ok(_)) => return Err(format!("`{text}` is no status of an answer")),
        (None, Err(_)) if text == "empty" || text.contains('=') => text.to_owned(),
        (None, Err(_)) => {
            let words = WORDS.iter().map(|(word, _)| *word).chain(["connect", "empty"]);
            let help = crate::spec::suggest::suggest(text, "outcomes", words);
            return Err(format!("`{text}` is no outcome; {help}, a status, or words of the mock such as `status=429;retry_after=2`"));
        }
    };
    line.parse::<Behaviour>().map_err(|error| format!("`{text}` is no outcome: {error}"))?;
    HeaderValue::try_from(line)
        .map(Fate::Answered)
        .map_err(|_| format!("`{text}` holds signs that no header can carry: escape them as `%C3%A4`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{At, Failure};

    fn behaviour(text: &str) -> Behaviour {
        match fate(&Outcome(text.to_owned())).unwrap() {
            Fate::Answered(line) => line.to_str().unwrap().parse().unwrap(),
            Fate::NoConnection => panic!("an answer"),
        }
    }

    #[test]
    fn every_word_is_one_of_the_mocks() {
        assert!(WORDS.iter().all(|(_, line)| line.parse::<Behaviour>().is_ok()));
        assert_eq!(behaviour("ok"), Behaviour::default());
        assert_eq!(behaviour("503"), Behaviour::status(503));
        assert_eq!(behaviour("timeout"), Behaviour::stall(At::Start));
        assert_eq!(behaviour("quota"), Behaviour::error(Failure::InsufficientQuota));
        assert_eq!(behaviour("status=429;retry_after=2").retry_after.as_deref(), Some("2"));
        assert_eq!(fate(&Outcome("connect".to_owned())), Ok(Fate::NoConnection));
    }

    #[test]
    fn what_is_no_outcome_is_told_with_what_would_be_one() {
        let why = |text: &str| fate(&Outcome(text.to_owned())).unwrap_err();
        assert!(why("time_out").contains("`timeout`"), "{}", why("time_out"));
        assert!(why("text=a\nb").contains("no header can carry"), "{}", why("text=a\nb"));
        assert!(why("42").contains("no status"), "{}", why("42"));
        assert!(why("statsu=503").contains("statsu"), "{}", why("statsu=503"));
    }
}
