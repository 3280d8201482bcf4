//! The stable codes of what only a running gateway can find out, each with what `validate --explain` says.
//!
//! Rule: as in [`crate::plan::codes`], a code never changes its meaning and is never used again for another one.

use crate::plan::codes::Code;

/// The spec cannot run here.
pub const CANNOT_RUN: &str = "BF0501";
/// A field of the process changed.
pub const NEEDS_RESTART: &str = "BF0502";
/// A file of the spec is gone.
pub const FILE_MISSING: &str = "BF0503";
/// A file of the spec is empty.
pub const FILE_EMPTY: &str = "BF0504";
/// The revision could not be kept.
pub const NOT_KEPT: &str = "BF0505";

/// Every code, in order.
pub const CODES: &[Code] = &[
    Code {
        code: CANNOT_RUN,
        title: "valid, but cannot run here",
        explanation: "The spec is valid, but this process cannot serve with it: a secret is not set, an address may not be dialled, a file cannot be read. The place names the value, the message the remedy.",
    },
    Code {
        code: NEEDS_RESTART,
        title: "change refused until a restart",
        explanation: "Listeners, the state directory and the cap on connections are fixed while the process runs. One revision is one file, so nothing else of it was applied either. Restart the gateway, or take the change back.",
    },
    Code {
        code: FILE_MISSING,
        title: "file of the spec is gone",
        explanation: "What ran before still runs. Put the file back, or restart the gateway with other files.",
    },
    Code {
        code: FILE_EMPTY,
        title: "file of the spec is empty",
        explanation: "An empty file is not an empty spec: it is taken for one that somebody is in the middle of writing. What ran before still runs.",
    },
    Code {
        code: NOT_KEPT,
        title: "revision could not be kept",
        explanation: "Every accepted revision is written to the state directory before it serves. The message says what the file system answered.",
    },
];

/// Returns the explanation of one of this module's codes.
pub fn explain(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_apart_from_those_of_the_checks() {
        for pair in CODES.windows(2) {
            assert!(pair[0].code < pair[1].code);
        }
        for code in CODES {
            assert!(crate::plan::codes::explain(code.code).is_none(), "{}", code.code);
            assert!(code.explanation.ends_with('.') && !code.title.ends_with('.'), "{}", code.code);
        }
        assert_eq!(explain("bf0502").map(|code| code.title), Some("change refused until a restart"));
    }
}
