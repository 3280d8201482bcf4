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
    /// What few prices tell apart.
    pub other: OtherCounts,
}

/// Counts that few prices tell apart, and that most answers leave at 0. Half as wide as the others: a usage travels with every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OtherCounts {
    /// Those of the tokens read from a cache that were sound.
    pub cache_read_audio: u32,
    /// Those of the tokens read from a cache that were pictures.
    pub cache_read_image: u32,
    /// Those of the whole input's tokens that were film.
    pub input_video: u32,
    /// Those of the output's tokens that were pictures.
    pub output_image: u32,
    /// Those of the output's tokens that were film.
    pub output_video: u32,
    /// Those of the output's tokens that were citations.
    pub citation: u32,
    /// Searches of the web that the provider made.
    pub web_searches: u32,
    /// Searches of stored files that the provider made.
    pub file_searches: u32,
    /// Sound that was written down or spoken, in milliseconds; for models that are paid by time.
    pub audio_ms: u32,
    /// Characters of the input; for models that are paid by them.
    pub characters: u32,
    /// Pictures that were made; for models that are paid by the picture.
    pub images: u32,
    /// Pages that were read.
    pub pages: u32,
    /// Those of the pages that were annotated, too.
    pub annotated_pages: u32,
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
    /// Every tier.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority];

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
