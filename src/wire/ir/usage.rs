//! Tokens, as a vector whose counts do not overlap where they are billed apart.

/// What one answer used. Each format's own convention (is the cache part of the input? is reasoning part of the output?) is resolved when
/// it is read and restored when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache that lives five minutes, or as long as the provider likes.
    pub cache_write: u64,
    /// Input tokens written to a cache that lives an hour.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Those of the output that were reasoning.
    pub reasoning: u64,
    /// Those of the whole input that were sound.
    pub input_audio: u64,
    /// Those of the whole input that were pictures.
    pub input_image: u64,
    /// Those of the output that were sound.
    pub output_audio: u64,
}

impl Usage {
    /// Returns all input tokens, cached or not.
    pub const fn whole_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write())
    }

    /// Returns all tokens that were written to a cache.
    pub const fn cache_write(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_1h)
    }

    /// Returns all tokens.
    pub const fn total(&self) -> u64 {
        self.whole_input().saturating_add(self.output)
    }
}

/// Which of its price lists a provider applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Tier {
    /// The usual one.
    #[default]
    Standard,
    /// Answered within a day, for less.
    Batch,
    /// Answered when there is room, for less.
    Flex,
    /// Answered before others, for more.
    Priority,
}

impl Tier {
    /// Reads a provider's word for the tier that served; none where it does not say which (`auto`), or in a word that has no price of its own.
    pub fn read(word: &str) -> Option<Self> {
        Some(match word {
            "default" | "standard" | "on_demand" => Self::Standard,
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            _ => return None,
        })
    }

    /// Returns the tier's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

/// What an answer says of its own cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metered {
    /// What was used; none where the upstream does not say.
    pub usage: Option<Usage>,
    /// The tier that served; none where the upstream does not say.
    pub tier: Option<Tier>,
}

impl From<Usage> for Metered {
    fn from(usage: Usage) -> Self {
        Self { usage: Some(usage), tier: None }
    }
}
