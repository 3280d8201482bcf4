//! Stable codes of what only the command line can tell; those of the loader, the checks and the gateway stand with them.
//!
//! Rule: as in [`crate::plan::codes`], a code never changes its meaning and is never used again for another one.

use crate::spec::codes::Code;

/// An optional secret is not there.
pub const SECRET_ABSENT: &str = "BF0601";
/// The running gateway does not take the spec.
pub const GATEWAY_REFUSES: &str = "BF0602";
/// An allowance has ended.
pub const ALLOWANCE_EXPIRED: &str = "BF0603";
/// An allowance does nothing.
pub const ALLOWANCE_UNUSED: &str = "BF0604";
/// A test came out otherwise than it says.
pub const TEST_FAILED: &str = "BF0605";
/// A test cannot run.
pub const TEST_BROKEN: &str = "BF0606";
/// A key stands in a file.
pub const KEY_IN_FILE: &str = "BF0610";

/// Every code, in order.
pub const CODES: &[Code] = &[
    Code {
        code: SECRET_ABSENT,
        title: "optional secret is not set here",
        explanation: "The credential is `optional: true` and its secret is not there, so a gateway started on this machine would run without it. This is a note, not a fault. Looked at from `--level env` on.",
    },
    Code {
        code: GATEWAY_REFUSES,
        title: "running gateway refuses the spec",
        explanation: "The spec is valid, but the running gateway said that it would not take it, for the reason given. Asked with `--level live`.",
    },
    Code {
        code: ALLOWANCE_EXPIRED,
        title: "allowance has ended",
        explanation: "`--allow CODE=until:DATE` drops warnings up to the day before DATE. That time is over: mend what it allowed, or decide anew and give a later day.",
    },
    Code {
        code: ALLOWANCE_UNUSED,
        title: "allowance without effect",
        explanation: "`--allow CODE` names a code that was not found, or that is an error, which cannot be allowed. Left where it is, it would hide the next warning of that code.",
    },
    Code {
        code: TEST_FAILED,
        title: "test came out otherwise",
        explanation: "A test of the spec expects something else than what came of its request. Either the spec does what nobody meant, or the test says what is no longer meant: `bifrostctl test --update` writes what came into the test, to be reviewed with the rest.",
    },
    Code {
        code: TEST_BROKEN,
        title: "test cannot run",
        explanation: "A test names a key or a budget that the spec does not have, an outcome that is none, or asks for something that cannot be sent. It says nothing about the spec until it is mended.",
    },
    Code {
        code: KEY_IN_FILE,
        title: "key stands in a file",
        explanation: "`key scan` found a virtual key, or a key of a provider by its form. Whoever can read the file, or the history of the repository, can use it: revoke it where it was issued, and keep the new one in an environment variable or in a file that is not committed. A key that is only an example passes with `--allow FINGERPRINT`.",
    },
];
