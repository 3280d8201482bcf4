//! Usage in this format: the input excludes what was read from and written to a cache; thoughts are part of the output, uncounted.

use crate::wire::ir::Usage;
use crate::wire::json::{Node, Text, Writer};

/// Reads a `usage` object. The service spells the counts of the cache twice; the second spelling is not in its model.
pub(in crate::wire::bedrock) fn read(usage: Node<'_, '_>) -> Usage {
    let count = |node: Node<'_, '_>, name: &str| node.get(name).and_then(Node::number).and_then(|number| number.as_u64());
    let details = usage.get("cacheDetails").into_iter().flat_map(Node::elements);
    let for_an_hour = details.filter(|detail| detail.get("ttl").is_some_and(|ttl| ttl.is("1h")));
    let cache_write_1h = for_an_hour.filter_map(|detail| count(detail, "inputTokens")).fold(0, u64::saturating_add);
    Usage {
        input: count(usage, "inputTokens").unwrap_or_default(),
        cache_read: count(usage, "cacheReadInputTokens").unwrap_or_default(),
        // The sum counts both lifetimes.
        cache_write: count(usage, "cacheWriteInputTokens").unwrap_or_default().saturating_sub(cache_write_1h),
        cache_write_1h,
        output: count(usage, "outputTokens").unwrap_or_default(),
        ..Usage::default()
    }
}

/// Writes the members of a `usage` object.
pub(in crate::wire::bedrock) fn members(writer: &mut Writer<'_>, usage: &Usage) {
    // The format tells neither thoughts nor sound and pictures apart.
    let Usage {
        input,
        cache_read,
        cache_write: _,
        cache_write_1h,
        output,
        reasoning: _,
        input_audio: _,
        input_image: _,
        output_audio: _,
        other: _,
    } = usage;
    writer.key("inputTokens").count(*input);
    writer.key("outputTokens").count(*output);
    writer.key("totalTokens").count(usage.total());
    if *cache_read > 0 || usage.cache_write() > 0 {
        writer.key("cacheReadInputTokens").count(*cache_read);
        writer.key("cacheWriteInputTokens").count(usage.cache_write());
    }
    if *cache_write_1h > 0 {
        writer.array("cacheDetails");
        writer.begin_object();
        writer.key("ttl").text("1h");
        writer.key("inputTokens").count(*cache_write_1h);
        writer.end_object();
        writer.end_array();
    }
}

/// Reads `serviceTier`, whose words are OpenAI's.
pub(in crate::wire::bedrock) fn tier<'a>(node: Node<'_, 'a>) -> Option<Text<'a>> {
    node.get("type").and_then(Node::text)
}

/// Returns this format's word for a service tier, where it has one.
pub(in crate::wire::bedrock) fn tier_word(word: &str) -> Option<&str> {
    matches!(word, "default" | "flex" | "priority" | "reserved").then_some(word)
}

/// Writes how long the answer took. Every answer of the provider says it, and its own examples read it.
pub(in crate::wire::bedrock) fn metrics(writer: &mut Writer<'_>, latency_ms: u64) {
    writer.object("metrics");
    writer.key("latencyMs").count(latency_ms);
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn the_cache_stays_outside_the_input_and_its_lifetimes_apart() {
        let text = r#"{"inputTokens":4,"outputTokens":30,"totalTokens":141,"cacheReadInputTokens":7,"cacheReadInputTokenCount":7,
            "cacheWriteInputTokens":100,"cacheDetails":[{"ttl":"5m","inputTokens":60},{"ttl":"1h","inputTokens":40}]}"#;
        let usage = read(Document::parse(text.as_bytes()).unwrap().root());
        let expected = Usage { input: 4, cache_read: 7, cache_write: 60, cache_write_1h: 40, output: 30, ..Usage::default() };
        assert_eq!((usage, usage.total()), (expected, 141));
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.begin_object();
        members(&mut writer, &usage);
        writer.end_object();
        assert_eq!(read(Document::parse(&out).unwrap().root()), expected);
    }
}
