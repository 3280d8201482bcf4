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
