//! Published price files → the catalogue: genai-prices for prices, LiteLLM's map for capacity, capabilities and end dates.
//!
//! Not run when the gateway starts: its result is kept in `data.txt` (`bifrostctl catalog convert`), where it is reviewed. Rules: what a price says that is not
//! understood leaves its model unpriced; where the two disagree it is reported, and the first holds.

mod decimal;
mod genai;
mod litellm;
mod merge;
mod rates;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use merge::Conflict;

use super::entry::{Origin, Source};
use super::text::Catalogue;

/// A published file.
#[derive(Debug, Clone)]
pub struct Published {
    /// Whose it is.
    pub origin: Origin,
    /// Its version, as its project numbers it.
    pub version: String,
    /// The day on which it was read.
    pub read: String,
    /// What it says.
    pub value: Value,
    sha256: String,
}

/// Why a file cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPublished {
    /// Not JSON.
    #[error("the file is not JSON: {0}")]
    Json(String),
    /// JSON, but neither project's.
    #[error("the file is neither genai-prices' list of providers nor LiteLLM's map of models")]
    Unknown,
}

impl Published {
    /// Reads a file and finds out whose it is: genai-prices publishes a list of providers, LiteLLM a map of models.
    ///
    /// # Errors
    /// [`NotPublished`].
    pub fn read(text: &[u8], version: &str, read: &str) -> Result<Self, NotPublished> {
        let value: Value = serde_json::from_slice(text).map_err(|error| NotPublished::Json(error.to_string()))?;
        let is_genai = value.as_array().and_then(|list| list.first()).is_some_and(|first| first.get("models").is_some());
        let is_litellm = value.as_object().is_some_and(|map| map.values().any(|entry| entry.get("litellm_provider").is_some()));
        let origin = match (is_genai, is_litellm) {
            (true, _) => Origin::GenaiPrices,
            (false, true) => Origin::Litellm,
            (false, false) => return Err(NotPublished::Unknown),
        };
        let sha256 = hex::encode(Sha256::digest(text));
        Ok(Self { origin, version: version.to_owned(), read: read.to_owned(), value, sha256 })
    }

    fn source(&self) -> Source {
        let (name, version, read, sha256) = (self.origin.name().to_owned(), self.version.clone(), self.read.clone(), self.sha256.clone());
        Source { name, version, read, sha256 }
    }
}

/// What came of a conversion.
#[derive(Debug, Default)]
pub struct Converted {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// Where the two files disagree about a price by more than a two-hundredth.
    pub conflicts: Vec<Conflict>,
    /// Models left unpriced because something of their price is not understood, as `vendor/model: reason`.
    pub unread: Vec<String>,
}

/// Converts published files, the later ones of one project taking the place of the earlier. `now_unix_ms` is the time at which the two
/// projects' prices are compared.
pub fn convert(files: &[Published], now_unix_ms: u64) -> Converted {
    let mut done = Converted::default();
    for origin in Origin::ALL {
        let Some(file) = files.iter().rev().find(|file| file.origin == origin) else { continue };
        done.catalogue.sources.push(file.source());
        match origin {
            Origin::GenaiPrices => genai::add(&file.value, &mut done),
            Origin::Litellm => merge::add(litellm::read(&file.value), &mut done, now_unix_ms),
        }
    }
    done
}
