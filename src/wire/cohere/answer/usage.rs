//! Usage in this format: the cache is part of the input, and thoughts of the output. What is billed is counted apart, and is less: Cohere
//! does not bill what it adds to a prompt.

use crate::wire::ir::Usage;
use crate::wire::json::{Node, Writer};

/// Reads a `usage` object: what is billed, and where that is missing the tokens.
pub(in crate::wire::cohere) fn read(usage: Node<'_, '_>) -> Option<Usage> {
    let count = |node: Node<'_, '_>, name: &str| node.get(name).and_then(Node::number).and_then(|number| number.as_u64());
    let counts = usage.get("billed_units").filter(|units| units.get("input_tokens").is_some()).or_else(|| usage.get("tokens"))?;
    let cache_read = count(usage, "cached_tokens").unwrap_or_default();
    let input = count(counts, "input_tokens").unwrap_or_default();
    Some(Usage {
        input: input.saturating_sub(cache_read),
        cache_read: cache_read.min(input),
        output: count(counts, "output_tokens").unwrap_or_default(),
        reasoning: count(counts, "reasoning_tokens").unwrap_or_default(),
        ..Usage::default()
    })
}

/// Writes the members of a `usage` object. What was billed is the upstream's to know.
pub(in crate::wire::cohere) fn members(writer: &mut Writer<'_>, usage: &Usage) {
    // The format tells neither what was written to a cache apart, nor sound and pictures.
    let Usage {
        input: _,
        cache_read,
        cache_write: _,
        cache_write_1h: _,
        output,
        reasoning,
        input_audio: _,
        input_image: _,
        output_audio: _,
        other: _,
    } = usage;
    writer.object("tokens");
    writer.key("input_tokens").count(usage.whole_input());
    writer.key("output_tokens").count(*output);
    if *reasoning > 0 {
        writer.key("reasoning_tokens").count(*reasoning);
    }
    writer.end_object();
    writer.key("cached_tokens").count(*cache_read);
}
