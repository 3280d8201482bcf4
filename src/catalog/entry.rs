//! What the catalogue knows of one model, and of one vendor's models.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::price_list::PriceList;
use super::row::{Row, compile};
use super::term::{Term, with_dashed_date};

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The project that publishes it: `genai-prices`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The day on which it was read: `2026-11-25`.
    pub read: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Which of the catalogue's sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// genai-prices, by Pydantic.
    GenaiPrices,
    /// LiteLLM's map of models.
    Litellm,
}

impl Origin {
    /// Both.
    pub const ALL: [Self; 2] = [Self::GenaiPrices, Self::Litellm];

    /// Returns its project's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GenaiPrices => "genai-prices",
            Self::Litellm => "litellm",
        }
    }
}

/// What a model takes and gives at most, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Input.
    pub input: Option<u64>,
    /// Output.
    pub output: Option<u64>,
}

/// One model of a vendor.
#[derive(Debug, Default)]
pub struct Entry {
    /// Its name in the catalogue.
    pub id: String,
    /// Names by which requests know it.
    pub terms: Vec<Term>,
    /// How much fits into it.
    pub capacity: Capacity,
    /// What it can do, in the words of [`CAPABILITIES`].
    pub capabilities: Vec<String>,
    /// The day from which it may no longer be served: `2026-11-30`.
    pub retires: Option<String>,
    /// What its price is multiplied by where it is served in one region only, in hundredths.
    pub regional_percent: Option<u64>,
    /// The least time that is paid for, where sound is paid by time.
    pub least_audio_ms: u64,
    /// Its published prices, and who says so; none where nobody does.
    pub rows: Vec<Row>,
    /// Who says so.
    pub origin: Option<Origin>,
    /// The entry whose prices are also its own.
    pub priced_as: Option<String>,
    pub(super) compiled: OnceLock<Option<Arc<PriceList>>>,
}

impl Entry {
    /// Returns a name under which requests know the model: the first that is a whole one, else its name in the catalogue.
    pub fn request_name(&self) -> String {
        let whole = self.terms.iter().find_map(|term| match term {
            Term::Equals(name) if !name.contains('#') => Some(name.clone()),
            Term::Equals(_) | Term::StartsWith(_) | Term::EndsWith(_) | Term::Contains(_) => None,
        });
        whole.unwrap_or_else(|| self.id.clone())
    }
}

/// Words for what a model can do.
pub const CAPABILITIES: [&str; 19] = [
    "audio_input",
    "audio_output",
    "completion",
    "computer_use",
    "deprecated",
    "embedding",
    "image_generation",
    "json_schema",
    "moderation",
    "parallel_tools",
    "pdf",
    "prompt_caching",
    "reasoning",
    "rerank",
    "speech",
    "tools",
    "transcription",
    "vision",
    "web_search",
];

/// Bytes of the longest name that is looked up; the longest that is known has 90.
const LONGEST_NAME: usize = 256;

/// A vendor's models.
#[derive(Debug, Default)]
pub struct Vendor {
    /// In the order in which their terms are tried.
    pub entries: Vec<Entry>,
    exact: HashMap<String, usize>,
    /// Those that have a term that is more than a name.
    open: Vec<usize>,
}

impl Vendor {
    /// Adds an entry behind those that are there.
    pub fn push(&mut self, entry: Entry) {
        let place = self.entries.len();
        let mut is_open = false;
        for term in &entry.terms {
            match term {
                Term::Equals(name) if !name.contains('#') => {
                    self.exact.entry(name.clone()).or_insert(place);
                }
                Term::Equals(_) | Term::StartsWith(_) | Term::EndsWith(_) | Term::Contains(_) => is_open = true,
            }
        }
        if is_open {
            self.open.push(place);
        }
        self.entries.push(entry);
    }

    /// Returns the entry of a name: the one that has exactly this name, else the first one of which it is a version.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        // A name may be whatever a client sends, and every open term is looked for in it.
        let name = Some(name).filter(|name| name.len() <= LONGEST_NAME)?.to_lowercase();
        self.by_name(&name).or_else(|| self.by_name(&with_dashed_date(&name)?))
    }

    fn by_name(&self, name: &str) -> Option<&Entry> {
        let exact = self.exact.get(name).and_then(|place| self.entries.get(*place));
        let mut open = self.open.iter().filter_map(|place| self.entries.get(*place));
        exact.or_else(|| open.find(|entry| entry.terms.iter().any(|term| term.matches(name))))
    }

    /// Returns the entry of this id.
    pub fn by_id(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// Returns the entry whose rows are an entry's prices: its own, or those of the one that it is priced as.
    pub fn priced<'v>(&'v self, entry: &'v Entry) -> &'v Entry {
        entry.priced_as.as_deref().and_then(|id| self.by_id(id)).unwrap_or(entry)
    }

    /// Returns the prices of an entry, compiled at the first call; none where it is unpriced.
    pub fn prices(&self, entry: &Entry) -> Option<Arc<PriceList>> {
        let priced = self.priced(entry);
        let compile = || (!priced.rows.is_empty()).then(|| Arc::new(compile(&priced.rows, priced.least_audio_ms)));
        priced.compiled.get_or_init(compile).clone()
    }
}
