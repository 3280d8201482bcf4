//! How a command ends: the stable exit codes, and the error that carries one.

use std::fmt;

use super::output::Details;

/// The process's exit code. The numbers are a public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; no difference.
    Ok,
    /// Something failed at run time: a file, the network, the terminal.
    Failure,
    /// There are differences, where somebody asked to be told, or findings of a scan.
    Differences,
    /// The spec is invalid.
    Invalid,
    /// Not authenticated, or not allowed.
    NotAuthorised,
    /// The base revision is no longer the live one.
    Conflict,
    /// The gateway refused it.
    Rejected,
    /// The change is riskier than `--fail-on-risk` allows.
    Risk,
    /// Waited long enough.
    TimedOut,
    /// The command line is wrong.
    Usage,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failure,
        Self::Differences,
        Self::Invalid,
        Self::NotAuthorised,
        Self::Conflict,
        Self::Rejected,
        Self::Risk,
        Self::TimedOut,
        Self::Usage,
        Self::Interrupted,
    ];

    /// Says what the code means, as the manual does.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "fine; no difference, nothing found",
            Self::Failure => "something failed at run time: a file, the network",
            Self::Differences => {
                "there are differences (`diff --exit-code`, `fmt --check`, `drift`) or findings (`key scan`); a test came out otherwise than it says (`test`)"
            }
            Self::Invalid => "the spec is invalid, or has warnings with `--deny-warnings`",
            Self::NotAuthorised => "not authorised",
            Self::Conflict => "conflict: the gateway has moved on since (`apply`, a saved plan)",
            Self::Rejected => "the gateway refused it, or it was taken back (`--auto-rollback`)",
            Self::Risk => "the change is riskier than `--fail-on-risk` allows",
            Self::TimedOut => "timed out",
            Self::Usage => "the command line is wrong",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Differences => 2,
            Self::Invalid => 3,
            Self::NotAuthorised => 4,
            Self::Conflict => 5,
            Self::Rejected => 6,
            Self::Risk => 7,
            Self::TimedOut => 8,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do what it was asked, and what to try.
#[derive(Debug, Clone)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One sentence: what is wrong and where.
    pub(crate) message: String,
    /// What would be right, most likely first.
    pub(crate) hints: Vec<String>,
    /// Findings and changes that led to it.
    pub(crate) details: Option<Box<Details>>,
}

impl CommandError {
    /// Makes an error.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), details: None }
    }

    /// Makes a runtime or I/O error.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// Makes an error about the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to try.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the findings and changes that led to it.
    pub(crate) fn details(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}
