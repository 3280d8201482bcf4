//! Usage in this format: the input includes what was cached, the output includes reasoning.

use crate::wire::ir::Usage;
use crate::wire::json::{Node, Writer};

fn count(node: Option<Node<'_, '_>>) -> u64 {
    node.and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default()
}

/// Reads a `usage` object. What is missing is 0.
pub(in crate::wire::openai_responses) fn read(usage: Node<'_, '_>) -> Usage {
    let within = |outer: &str, name: &str| count(usage.get(outer).and_then(|outer| outer.get(name)));
    // Transcriptions say it without the `s`.
    let audio = within("input_tokens_details", "audio_tokens").max(within("input_token_details", "audio_tokens"));
    let cache_read = within("input_tokens_details", "cached_tokens");
    let cache_write = within("input_tokens_details", "cache_write_tokens");
    Usage {
        input: count(usage.get("input_tokens")).saturating_sub(cache_read).saturating_sub(cache_write),
        cache_read,
        cache_write,
        cache_write_1h: 0,
        output: count(usage.get("output_tokens")),
        reasoning: within("output_tokens_details", "reasoning_tokens"),
        input_audio: audio,
        input_image: within("input_tokens_details", "image_tokens"),
        output_audio: within("output_tokens_details", "audio_tokens"),
        ..Usage::default()
    }
}

/// Writes a `usage` object.
pub(super) fn write(writer: &mut Writer<'_>, usage: &Usage) {
    let Usage {
        input: _,
        cache_read,
        cache_write: _,
        cache_write_1h: _,
        output,
        reasoning,
        input_audio,
        input_image,
        output_audio,
        other: _,
    } = usage;
    writer.object("usage");
    writer.key("input_tokens").count(usage.whole_input());
    writer.object("input_tokens_details");
    writer.key("cached_tokens").count(*cache_read);
    // Official clients expect both.
    writer.key("cache_write_tokens").count(usage.cache_write());
    for (name, value) in [("audio_tokens", *input_audio), ("image_tokens", *input_image)] {
        if value > 0 {
            writer.key(name).count(value);
        }
    }
    writer.end_object();
    writer.key("output_tokens").count(*output);
    writer.object("output_tokens_details");
    writer.key("reasoning_tokens").count(*reasoning);
    if *output_audio > 0 {
        writer.key("audio_tokens").count(*output_audio);
    }
    writer.end_object();
    writer.key("total_tokens").count(usage.total());
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn what_is_written_is_read_back() {
        let whole = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            cache_write_1h: 0,
            output: 90,
            reasoning: 50,
            input_audio: 1,
            input_image: 2,
            output_audio: 4,
            ..Usage::default()
        };
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.begin_object();
        write(&mut writer, &whole);
        writer.end_object();
        let document = Document::parse(&out).unwrap();
        let usage = document.root().get("usage").unwrap();
        assert_eq!(usage.get("input_tokens").unwrap().raw(), "6");
        assert_eq!(usage.get("total_tokens").unwrap().raw(), "96");
        assert_eq!(read(usage), whole);
    }
}
