//! JSON as it was written: a borrowed tree made in one pass, a reader that knows what it has not read, and a writer.
//!
//! Not a value type: numbers, opaque parts and whole subtrees keep the text that the client wrote, so `1.10`, 23-digit integers and the
//! order of members survive. Rule: what is read is *taken* ([`Fields`]); what nobody took is told, as an extra or as a loss.

mod document;
mod fields;
mod parse;
mod string;
mod write;

pub use document::{Document, JsonError, Kind, Node, Place, is_object, path_at, paths_in};
pub use fields::{Fault, Fields};
pub use write::{Optional, Writer};

use std::borrow::Cow;

/// A value that the client gave, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Place,
}

impl<T> Given<T> {
    /// Makes a value with its place.
    pub const fn new(value: T, at: Place) -> Self {
        Self { value, at }
    }

    /// Changes the value, not the place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        Given { value: change(self.value), at: self.at }
    }
}

/// A member that nobody understood, kept for a target of the same format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra<'a> {
    /// The member's name.
    pub name: Text<'a>,
    /// Its value.
    pub value: Json<'a>,
    /// Where it stands.
    pub at: Place,
}

/// The members of one object that nobody understood.
pub type Extras<'a> = Vec<Extra<'a>>;

/// Text in the original, or unescaped.
pub type Text<'a> = Cow<'a, str>;

/// One JSON value as text, never parsed by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// Makes a value of text that is known to be one JSON value: a node's raw text, or what a writer wrote.
    pub fn new(raw: impl Into<Cow<'a, str>>) -> Self {
        Self(raw.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text itself.
    pub fn into_text(self) -> Text<'a> {
        self.0
    }

    /// Copies the text, so that it outlives its source.
    pub fn into_owned(self) -> Json<'static> {
        Json(Cow::Owned(self.0.into_owned()))
    }
}

/// A number in the client's own spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// Returns the text.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Returns the value, rounded to a double.
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Returns the value where it is a whole number that is not negative; `1e3` and `5.0` count.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok().or_else(|| {
            let float = self.as_f64();
            // Above 2^53 a double no longer says which whole number was meant.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
            (float.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&float)).then_some(float as u64)
        })
    }
}
