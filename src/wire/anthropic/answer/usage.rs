//! Usage in this format: the input excludes what was read from and written to a cache; thinking is part of the output.

use crate::wire::ir::Usage;
use crate::wire::json::{Node, Text, Writer};

/// What an upstream has told of its usage so far. A stream tells it in pieces, each cumulative, so a later count replaces an earlier one.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::wire::anthropic) struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    /// Reads a `usage` object over what is known.
    pub(in crate::wire::anthropic) fn read(&mut self, usage: Node<'_, '_>) {
        let count = |node: Option<Node<'_, '_>>| node.and_then(Node::number).and_then(|number| number.as_u64());
        let within = |outer: &str, name: &str| count(usage.get(outer).and_then(|outer| outer.get(name)));
        let replace = |known: &mut Option<u64>, told: Option<u64>| *known = told.or(*known);
        replace(&mut self.input, count(usage.get("input_tokens")));
        replace(&mut self.cache_read, count(usage.get("cache_read_input_tokens")));
        replace(&mut self.cache_write, count(usage.get("cache_creation_input_tokens")));
        replace(&mut self.cache_write_1h, within("cache_creation", "ephemeral_1h_input_tokens"));
        replace(&mut self.output, count(usage.get("output_tokens")));
        replace(&mut self.thinking, within("output_tokens_details", "thinking_tokens"));
    }

    /// Returns what is known, or nothing where nothing was told.
    pub(in crate::wire::anthropic) fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let cache_write_1h = self.cache_write_1h.unwrap_or_default();
        Some(Usage {
            input: self.input.unwrap_or_default(),
            cache_read: self.cache_read.unwrap_or_default(),
            // The sum counts both lifetimes.
            cache_write: self.cache_write.unwrap_or_default().saturating_sub(cache_write_1h),
            cache_write_1h,
            output: self.output.unwrap_or_default(),
            reasoning: self.thinking.unwrap_or_default(),
            ..Usage::default()
        })
    }
}

/// Reads `service_tier` into OpenAI's word.
pub(in crate::wire::anthropic) fn tier<'a>(usage: Node<'_, 'a>) -> Option<Text<'a>> {
    let word = usage.get("service_tier").and_then(Node::text)?;
    Some(if word == "standard" { Text::Borrowed("default") } else { word })
}

/// Returns this format's word for a service tier, where it has one.
pub(in crate::wire::anthropic) fn tier_word(word: &str) -> Option<&str> {
    match word {
        "default" => Some("standard"),
        "priority" | "batch" => Some(word),
        _ => None,
    }
}

/// Writes the members of a `usage` object.
pub(in crate::wire::anthropic) fn members(writer: &mut Writer<'_>, usage: &Usage) {
    // The format does not tell sound and pictures apart.
    let Usage {
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
        input_audio: _,
        input_image: _,
        output_audio: _,
        other: _,
    } = usage;
    writer.key("input_tokens").count(*input);
    writer.key("cache_creation_input_tokens").count(usage.cache_write());
    writer.key("cache_read_input_tokens").count(*cache_read);
    if usage.cache_write() > 0 {
        writer.object("cache_creation");
        writer.key("ephemeral_5m_input_tokens").count(*cache_write);
        writer.key("ephemeral_1h_input_tokens").count(*cache_write_1h);
        writer.end_object();
    }
    writer.key("output_tokens").count(*output);
    if *reasoning > 0 {
        writer.object("output_tokens_details");
        writer.key("thinking_tokens").count(*reasoning);
        writer.end_object();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn later_counts_replace_earlier_ones_and_the_cache_stays_outside_the_input() {
        let mut counts = Counts::default();
        assert_eq!(counts.usage(), None);
        for text in [
            r#"{"input_tokens":4,"cache_creation_input_tokens":100,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":60,"ephemeral_1h_input_tokens":40},"output_tokens":1}"#,
            r#"{"output_tokens":20,"output_tokens_details":{"thinking_tokens":5}}"#,
        ] {
            counts.read(Document::parse(text.as_bytes()).unwrap().root());
        }
        let expected = Usage { input: 4, cache_read: 7, cache_write: 60, cache_write_1h: 40, output: 20, reasoning: 5, ..Usage::default() };
        assert_eq!(counts.usage(), Some(expected));
        assert_eq!(expected.whole_input(), 111);
    }
}
