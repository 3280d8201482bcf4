//! Usage in this format: the input includes what was cached, the output includes reasoning.

use crate::wire::ir::Usage;
use crate::wire::json::{Node, Writer};

fn count(node: Option<Node<'_, '_>>) -> u64 {
    node.and_then(Node::number).and_then(|number| number.as_u64()).unwrap_or_default()
}

/// Reads a `usage` object, in the spellings of all servers that speak the format. What is missing is 0.
pub(in crate::wire::openai_chat) fn read(usage: Node<'_, '_>) -> Usage {
    let input_details = usage.get("prompt_tokens_details");
    let output_details = usage.get("completion_tokens_details");
    let of = |details: Option<Node<'_, '_>>, name: &str| count(details.and_then(|details| details.get(name)));
    let whole_input = match usage.get("prompt_tokens") {
        Some(tokens) => count(Some(tokens)),
        // Voyage's vectors have a total alone.
        None => count(usage.get("total_tokens")).saturating_sub(count(usage.get("completion_tokens"))),
    };
    // Beside OpenAI's own: Moonshot at the top, DeepSeek, Mistral.
    let cached = [
        of(input_details, "cached_tokens"),
        count(usage.get("cached_tokens")),
        count(usage.get("prompt_cache_hit_tokens")),
        count(usage.get("num_cached_tokens")),
    ];
    let cache_read = cached.into_iter().find(|count| *count > 0).unwrap_or_default();
    let cache_write = of(input_details, "cache_write_tokens");
    let reasoning = of(output_details, "reasoning_tokens");
    let mut output = count(usage.get("completion_tokens"));
    // xAI leaves reasoning out of the output, which only the total shows.
    if reasoning > 0 && count(usage.get("total_tokens")) == whole_input.saturating_add(output).saturating_add(reasoning) {
        output = output.saturating_add(reasoning);
    }
    Usage {
        // xAI has been seen to count more cached tokens than tokens.
        input: whole_input.saturating_sub(cache_read).saturating_sub(cache_write),
        cache_read,
        cache_write,
        cache_write_1h: 0,
        output,
        reasoning,
        input_audio: of(input_details, "audio_tokens"),
        input_image: of(input_details, "image_tokens"),
        output_audio: of(output_details, "audio_tokens"),
        ..Usage::default()
    }
}

/// Writes the member `usage`.
pub(in crate::wire::openai_chat) fn write(writer: &mut Writer<'_>, usage: &Usage) {
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
    writer.key("prompt_tokens").count(usage.whole_input());
    writer.key("completion_tokens").count(*output);
    writer.key("total_tokens").count(usage.total());
    writer.object("prompt_tokens_details");
    writer.key("cached_tokens").count(*cache_read);
    for (name, value) in [("cache_write_tokens", usage.cache_write()), ("audio_tokens", *input_audio), ("image_tokens", *input_image)] {
        if value > 0 {
            writer.key(name).count(value);
        }
    }
    writer.end_object();
    writer.object("completion_tokens_details");
    writer.key("reasoning_tokens").count(*reasoning);
    if *output_audio > 0 {
        writer.key("audio_tokens").count(*output_audio);
    }
    writer.end_object();
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    fn usage(text: &str) -> Usage {
        read(Document::parse(text.as_bytes()).unwrap().root())
    }

    #[test]
    fn cached_tokens_are_taken_out_of_the_input_in_every_spelling() {
        let expected = Usage { input: 6, cache_read: 4, output: 5, ..Usage::default() };
        for text in [
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":4,"prompt_tokens_details":null}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"num_cached_tokens":4}"#,
        ] {
            assert_eq!(usage(text), expected, "{text}");
        }
        let more_than_all = r#"{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":161}}"#;
        assert_eq!(usage(more_than_all), Usage { cache_read: 161, ..Usage::default() });
    }

    #[test]
    fn reasoning_that_only_the_total_counts_is_output() {
        let xai = r#"{"prompt_tokens":12,"completion_tokens":1,"total_tokens":241,"completion_tokens_details":{"reasoning_tokens":228}}"#;
        assert_eq!((usage(xai).output, usage(xai).reasoning), (229, 228));
        let openai =
            r#"{"prompt_tokens":12,"completion_tokens":229,"total_tokens":241,"completion_tokens_details":{"reasoning_tokens":228}}"#;
        assert_eq!((usage(openai).output, usage(openai).reasoning), (229, 228));
    }

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
        assert_eq!(read(document.root().get("usage").unwrap()), whole);
    }
}
