//! Codes of what only this machine, the running gateway or the command line can tell; the loader's and the compiler's are theirs.

use crate::plan::codes::Code;

/// A secret cannot be read.
pub(crate) const SECRET_UNREADABLE: Code = Code {
    code: "BF0601",
    title: "secret cannot be read here",
    explanation: "The credential's secret is not where the spec says, or is not usable as a key: the variable is not set, or the file is \
missing, empty or not text. A gateway started on this machine would refuse the spec. Checked from `--level env` on.",
};

/// An optional secret is not there.
pub(crate) const SECRET_ABSENT: Code = Code {
    code: "BF0602",
    title: "optional secret is not set here",
    explanation: "The credential is `optional: true` and its secret is not there, so a gateway started on this machine would run without \
it. This is a note, not a fault. Checked from `--level env` on.",
};

/// A certificate or its key cannot be used.
pub(crate) const TLS_UNREADABLE: Code = Code {
    code: "BF0603",
    title: "certificate or key cannot be used here",
    explanation: "The files of `gateway.tls` cannot be read, are not PEM, or do not belong together. Checked from `--level env` on.",
};

/// The running gateway does not take it.
pub(crate) const GATEWAY_REFUSES: Code = Code {
    code: "BF0611",
    title: "running gateway refuses the spec",
    explanation: "The spec is valid, but the running gateway said that it would not take it, for the reason given. Checked with \
`--level live`.",
};

/// The change cannot be made while the gateway runs.
pub(crate) const NEEDS_RESTART: Code = Code {
    code: "BF0612",
    title: "change needs a restart",
    explanation: "Listeners, the state directory and TLS are set up once, when the gateway starts. The running gateway refuses a spec that \
changes them; start it anew with the new spec. Checked with `--level live`.",
};

/// An allowance has ended.
pub(crate) const ALLOWANCE_EXPIRED: Code = Code {
    code: "BF0621",
    title: "allowance has ended",
    explanation: "`--allow CODE=until:DATE` drops warnings up to the day before DATE. That time is over: mend what it allowed, or decide \
anew and give a later day.",
};

/// An allowance does nothing.
pub(crate) const ALLOWANCE_UNUSED: Code = Code {
    code: "BF0622",
    title: "allowance without effect",
    explanation: "`--allow CODE` names a code that was not found, or that is an error, which cannot be allowed. Left where it is, it \
would hide the next warning of that code.",
};

/// Every code of this module, in order.
pub(crate) const CODES: &[Code] =
    &[SECRET_UNREADABLE, SECRET_ABSENT, TLS_UNREADABLE, GATEWAY_REFUSES, NEEDS_RESTART, ALLOWANCE_EXPIRED, ALLOWANCE_UNUSED];
