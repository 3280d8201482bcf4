//! A stream as it passes: what each event means for failover, for the end, and for the count.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer};

use super::Usage;
use crate::wire::frame;

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
    /// The last usage seen.
    pub usage: Option<Usage>,
    /// A finish reason was seen.
    pub finished: bool,
    /// `[DONE]` was seen.
    pub done: bool,
    /// Chunks with content, which stand for output tokens where no usage comes.
    pub content_events: u64,
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
        // A derived type would also take an array, field by field.
        let (b'{', Ok(chunk)) = (data.first().copied().unwrap_or_default(), serde_json::from_slice::<Chunk>(data)) else {
            return Event::Malformed;
        };
        if chunk.error.0 {
            return Event::Error;
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage);
        }
        self.finished |= chunk.choices.finish;
        if chunk.choices.content || chunk.choices.finish {
            self.content_events += u64::from(chunk.choices.content);
            Event::Content
        } else if chunk.usage.is_some() && chunk.choices.count == 0 {
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

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Choices,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Present,
}

/// Whether a member is there and says something: not null, not empty.
#[derive(Default, Clone, Copy)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PresentVisitor).map(Self)
    }
}

struct PresentVisitor;

impl<'de> de::Visitor<'de> for PresentVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        Ok(!value.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut any = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut any = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }
}

/// All choices of a chunk, summed up.
#[derive(Default)]
struct Choices {
    count: u32,
    content: bool,
    finish: bool,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    text: Present,
    #[serde(default)]
    finish_reason: Present,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Present,
    #[serde(default)]
    tool_calls: Present,
    #[serde(default)]
    function_call: Present,
    #[serde(default)]
    refusal: Present,
    #[serde(default)]
    reasoning_content: Present,
    #[serde(default)]
    reasoning: Present,
    #[serde(default)]
    audio: Present,
}

impl Delta {
    const fn says_something(&self) -> bool {
        self.content.0
            || self.tool_calls.0
            || self.function_call.0
            || self.refusal.0
            || self.reasoning_content.0
            || self.reasoning.0
            || self.audio.0
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_unit<E>(self) -> Result<Choices, E> {
                Ok(Choices::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Choices, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = seq.next_element::<Choice>()? {
                    all.count += 1;
                    all.content |= choice.text.0 || choice.delta.is_some_and(|delta| delta.says_something());
                    all.finish |= choice.finish_reason.0;
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((watcher.usage, watcher.content_events), (Some(Usage { input: 1, output: 2 }), 1));
    }
}
