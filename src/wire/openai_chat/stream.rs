//! A stream as it passes: what each event means for failover, for the end, and for the count.

use super::response::{service_tier, usage};
use crate::wire::estimate;
use crate::wire::frame;
use crate::wire::ir::Metered;
use crate::wire::scan::{Cursor, ScanError};

/// What one event of a stream means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing that a user would see: comments, role-only chunks, keep-alives.
    Quiet,
    /// Content: text, a tool call, a refusal, reasoning, audio, or a finish reason.
    Content,
    /// A chunk whose only content is the usage.
    Usage,
    /// `[DONE]`.
    Done,
    /// An error in place of content.
    Error,
    /// Not what the format says.
    Malformed,
}

/// Watches one stream; keeps what its end is judged by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watcher {
    /// The last usage and service tier seen.
    pub metered: Metered,
    /// A finish reason was seen.
    pub finished: bool,
    /// `[DONE]` was seen.
    pub done: bool,
    /// Our own count of the output tokens that passed, which stands for the upstream's where that does not come.
    pub content_tokens: u64,
}

impl Watcher {
    /// Judges one whole event. Parses its data once, without allocating.
    pub fn observe(&mut self, event: &[u8]) -> Event {
        let mut verdict = Event::Quiet;
        let mut lines = 0;
        let name = frame::fields(event, |data| {
            lines += 1;
            verdict = if lines == 1 { self.data(data) } else { Event::Malformed };
        });
        if name == Some(b"error") { Event::Error } else { verdict }
    }

    fn data(&mut self, data: &[u8]) -> Event {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Event::Quiet;
        }
        if data == b"[DONE]" {
            self.done = true;
            return Event::Done;
        }
        let Ok(chunk) = Chunk::read(data) else { return Event::Malformed };
        if chunk.error {
            return Event::Error;
        }
        self.metered.usage = chunk.metered.usage.or(self.metered.usage);
        self.metered.tier = chunk.metered.tier.or(self.metered.tier);
        self.finished |= chunk.finish;
        if chunk.content || chunk.finish {
            self.content_tokens += chunk.tokens;
            Event::Content
        } else if chunk.metered.usage.is_some() && chunk.choices == 0 {
            Event::Usage
        } else {
            Event::Quiet
        }
    }

    /// Returns whether the stream may end here: its terminator was seen, or a finish reason where terminators go missing.
    pub const fn complete(&self) -> bool {
        self.done || self.finished
    }
}

/// What one chunk says.
#[derive(Default)]
struct Chunk {
    metered: Metered,
    error: bool,
    choices: u32,
    content: bool,
    tokens: u64,
    finish: bool,
}

impl Chunk {
    /// Reads a chunk in one walk over it. What the members hold beyond what is asked here is the client's to judge.
    fn read(data: &[u8]) -> Result<Self, ScanError> {
        let mut chunk = Self::default();
        let mut cursor = Cursor::new(data);
        cursor.members(&mut |cursor, name| match name {
            b"choices" if !cursor.is_at_null() => cursor.elements(&mut |cursor| {
                chunk.choices += 1;
                chunk.choice(cursor)
            }),
            b"usage" => cursor.raw().map(|raw| chunk.metered.usage = usage(raw)),
            b"service_tier" => cursor.raw().map(|raw| chunk.metered.tier = service_tier(raw)),
            b"error" => cursor.raw().map(|raw| chunk.error = says_something(raw)),
            _ => cursor.value(),
        })?;
        cursor.end()?;
        Ok(chunk)
    }

    fn choice(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScanError> {
        cursor.members(&mut |cursor, name| match name {
            b"finish_reason" => cursor.raw().map(|raw| self.finish |= says_something(raw)),
            b"text" => cursor.raw().map(|raw| self.says(raw, QUOTES)),
            b"delta" if !cursor.is_at_null() => cursor.members(&mut |cursor, name| {
                let frame = if name.ends_with(b"calls") || name.ends_with(b"call") { CALL } else { QUOTES };
                let is_content = CONTENT.contains(&name);
                cursor.raw().map(|raw| {
                    if is_content {
                        self.says(raw, frame)
                    }
                })
            }),
            _ => cursor.value(),
        })
    }

    /// Counts a raw value, `frame` bytes of which say nothing.
    fn says(&mut self, raw: &[u8], frame: usize) {
        if says_something(raw) {
            self.content = true;
            self.tokens += estimate::delta(raw.len().saturating_sub(frame));
        }
    }
}

/// Bytes around a text.
const QUOTES: usize = 2;
/// Bytes around a piece of a call's input.
const CALL: usize = 45;
/// Members of a delta that a user would see something of.
const CONTENT: [&[u8]; 7] = [b"content", b"tool_calls", b"function_call", b"refusal", b"reasoning_content", b"reasoning", b"audio"];

/// Returns whether a raw value is there and says something: not null, not false, not empty.
fn says_something(raw: &[u8]) -> bool {
    match raw {
        b"null" | b"false" | b"\"\"" => false,
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => !inner.trim_ascii().is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::Usage;

    fn one(event: &str) -> Event {
        Watcher::default().observe(event.as_bytes())
    }

    #[test]
    fn role_only_chunks_comments_and_pings_are_not_content() {
        for quiet in [
            ": OPENROUTER PROCESSING\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}],\"usage\":null}\n\n",
            "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n",
            "event: ping\n\n",
        ] {
            assert_eq!(one(quiet), Event::Quiet, "{quiet}");
        }
    }

    #[test]
    fn text_tools_reasoning_and_finish_are_content() {
        for delta in ["\"content\":\"a\"", "\"tool_calls\":[{\"index\":0}]", "\"reasoning_content\":\"a\"", "\"refusal\":\"no\""] {
            assert_eq!(one(&format!("data: {{\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n")), Event::Content, "{delta}");
        }
        assert_eq!(one("data: {\"choices\":[{\"text\":\"a\"}]}\n\n"), Event::Content);
        assert_eq!(one("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"), Event::Content);
    }

    #[test]
    fn errors_and_garbage_are_told_apart() {
        assert_eq!(one("data: {\"error\":{\"message\":\"x\"}}\n\n"), Event::Error);
        assert_eq!(one("event: error\ndata: {\"message\":\"x\"}\n\n"), Event::Error);
        assert_eq!(one("data: {\"choices\":[],\"error\":null}\n\n"), Event::Quiet);
        for bad in ["data: {\"choices\":[\n\n", "data: hello\n\n", "data: []\n\n", "data: {\"choices\":5}\n\n"] {
            assert_eq!(one(bad), Event::Malformed, "{bad}");
        }
    }

    #[test]
    fn the_end_is_judged_by_terminator_or_finish_reason() {
        let mut watcher = Watcher::default();
        assert_eq!(watcher.observe(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), Event::Content);
        assert!(!watcher.complete());
        assert_eq!(watcher.observe(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"), Event::Usage);
        assert_eq!(watcher.observe(b"data: [DONE]\n\n"), Event::Done);
        assert!(watcher.complete());
        assert_eq!((watcher.metered.usage, watcher.content_tokens), (Some(Usage { input: 1, output: 2, ..Usage::default() }), 1));
    }
}
