//! What can go wrong with a book that is open.

use rusqlite::ffi;

/// Why the book does not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", kind.words())]
pub struct Failure {
    /// What kind of trouble it is.
    pub kind: FailureKind,
    /// What the database said.
    pub why: String,
}

/// The kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No space is left. It is tried again until there is.
    Full,
    /// The disk does not read or write. It is tried again.
    Io,
    /// The disk lost what it had taken. Nothing is written any more: what a retry would report is not what is on the disk.
    Sync,
    /// The shared store does not answer. It is tried again.
    Unreachable,
    /// This node's lease on the shared store ran out. It begins a new one.
    Lease,
    /// The file is damaged, locked by somebody else, or worse. It is tried again.
    Other,
}

impl FailureKind {
    const fn words(self) -> &'static str {
        match self {
            Self::Full => "no space is left for the book",
            Self::Io => "the book cannot be read or written",
            Self::Sync => "the disk lost what the book wrote",
            Self::Unreachable => "the shared book cannot be reached",
            Self::Lease => "this node's lease on the shared book ran out",
            Self::Other => "the book does not work",
        }
    }

    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Io => "io",
            Self::Sync => "sync",
            Self::Unreachable => "unreachable",
            Self::Lease => "lease",
            Self::Other => "other",
        }
    }
}

impl From<&rusqlite::Error> for Failure {
    fn from(error: &rusqlite::Error) -> Self {
        let kind = match error.sqlite_error() {
            Some(found) if matches!(found.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => FailureKind::Sync,
            Some(found) if found.code == ffi::ErrorCode::DiskFull => FailureKind::Full,
            Some(found) if found.code == ffi::ErrorCode::SystemIoFailure => FailureKind::Io,
            Some(_) | None => FailureKind::Other,
        };
        Self { kind, why: error.to_string() }
    }
}

#[cfg(feature = "postgres")]
impl From<&postgres::Error> for Failure {
    fn from(error: &postgres::Error) -> Self {
        use postgres::error::SqlState;
        let Some(said) = error.as_db_error() else {
            // Its source says what the network did; neither names the URL.
            let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            return Self { kind: FailureKind::Unreachable, why };
        };
        let code = said.code();
        let kind = if *code == SqlState::DISK_FULL {
            FailureKind::Full
        } else if *code == SqlState::IO_ERROR {
            FailureKind::Io
        } else if code.code().starts_with("08") || code.code().starts_with("57P") || *code == SqlState::TOO_MANY_CONNECTIONS {
            FailureKind::Unreachable
        } else {
            FailureKind::Other
        };
        Self { kind, why: said.message().to_owned() }
    }
}

#[cfg(feature = "postgres")]
impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(feature = "postgres")]
impl From<postgres::Error> for BookError {
    fn from(error: postgres::Error) -> Self {
        Self::Read(Failure::from(&error).to_string())
    }
}

/// Why something is not in the book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The book does not write now.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// More waits to be written than is kept in memory.
    #[error("the book cannot keep up: too much waits to be written")]
    Overloaded,
    /// The book was closed.
    #[error("the book is closed")]
    Closed,
    /// A question could not be answered.
    #[error("the book cannot be read: {0}")]
    Read(String),
}

impl From<rusqlite::Error> for BookError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.to_string())
    }
}
