//! What the checks found: code, place, message, remedy. Rendering is somebody else's work.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; never fails anything.
    Info,
    /// Suspicious; fails with `--deny-warnings`.
    Warning,
    /// The spec is refused.
    Error,
}

/// Bytes `start..end` of one source file, by the file's index in [`crate::spec::Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Index of the file.
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, such as `BF0207`; explained by `validate --explain`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence. Never holds a value from a sensitive field.
    pub message: String,
    /// Where, when a place in a source is to blame.
    pub location: Option<Location>,
    /// JSON pointer of the blamed value in the merged spec, when there is one.
    pub pointer: Option<String>,
    /// Other places that matter, each with its label.
    pub related: Vec<(Location, String)>,
    /// What would be right.
    pub help: Option<String>,
    /// Whether the text at `location` may be a secret; reports mask it, wherever it is shown.
    pub sensitive: bool,
}

impl Diagnostic {
    /// Makes an error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// Makes a warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Makes a note without a place: worth knowing, never a fault.
    pub fn info(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, message)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity, message: message.into(), location: None, pointer: None, related: Vec::new(), help: None, sensitive: false }
    }

    /// Sets the place.
    #[must_use]
    pub const fn at(mut self, location: Option<Location>) -> Self {
        self.location = location;
        self
    }

    /// Sets the pointer.
    #[must_use]
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, location: Location, label: impl Into<String>) -> Self {
        self.related.push((location, label.into()));
        self
    }

    /// Says that the text at the place may be a secret, so that no report shows it.
    #[must_use]
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
