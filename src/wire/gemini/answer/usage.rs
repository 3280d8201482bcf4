//! Usage in this format: the input includes what came from the cache and excludes what tools of the provider read; the output excludes
//! thoughts.

use crate::wire::ir::Usage;
use crate::wire::json::{Node, Text, Writer};

fn count(node: Option<Node<'_, '_>>) -> Option<u64> {
    node.and_then(Node::number).and_then(|number| number.as_u64())
}

/// Counts the tokens of one modality, which Vertex writes as a number for clients that ask it to.
fn of_modality(details: Option<Node<'_, '_>>, word: &str, number: &str) -> u64 {
    let is_it = |entry: &Node<'_, '_>| entry.get("modality").is_some_and(|modality| modality.is(word) || modality.raw() == number);
    let entries = details.into_iter().flat_map(Node::elements).filter(is_it);
    entries.filter_map(|entry| count(entry.get("tokenCount"))).sum()
}

/// Reads `usageMetadata`; nothing where it counts no tokens, as in the first pieces of Vertex's streams.
pub(in crate::wire::gemini) fn read(usage: Node<'_, '_>) -> Option<Usage> {
    let (prompt, total) = (count(usage.get("promptTokenCount")), count(usage.get("totalTokenCount")));
    if prompt.is_none() && total.is_none() {
        return None;
    }
    let cache_read = count(usage.get("cachedContentTokenCount")).unwrap_or_default();
    let tools = count(usage.get("toolUsePromptTokenCount")).unwrap_or_default();
    let thoughts = count(usage.get("thoughtsTokenCount")).unwrap_or_default();
    let prompt_details = usage.get("promptTokensDetails");
    Some(Usage {
        input: prompt.unwrap_or_default().saturating_sub(cache_read).saturating_add(tools),
        cache_read,
        cache_write: 0,
        cache_write_1h: 0,
        output: count(usage.get("candidatesTokenCount")).unwrap_or_default().saturating_add(thoughts),
        reasoning: thoughts,
        input_audio: of_modality(prompt_details, "AUDIO", "4"),
        input_image: of_modality(prompt_details, "IMAGE", "2"),
        output_audio: of_modality(usage.get("candidatesTokensDetails"), "AUDIO", "4"),
        ..Usage::default()
    })
}

/// Reads how a request was queued and billed, into OpenAI's word.
pub(in crate::wire::gemini) fn tier<'a>(usage: Node<'_, 'a>) -> Option<Text<'a>> {
    let word = usage.get("serviceTier").and_then(Node::text)?;
    Some(if word == "standard" { Text::Borrowed("default") } else { word })
}

/// Writes the member `usageMetadata`.
pub(in crate::wire::gemini) fn write(writer: &mut Writer<'_>, usage: &Usage, tier: Option<&str>) {
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
    writer.object("usageMetadata");
    writer.key("promptTokenCount").count(usage.whole_input());
    writer.key("candidatesTokenCount").count(output.saturating_sub(*reasoning));
    writer.key("totalTokenCount").count(usage.total());
    if *reasoning > 0 {
        writer.key("thoughtsTokenCount").count(*reasoning);
    }
    if *cache_read > 0 {
        writer.key("cachedContentTokenCount").count(*cache_read);
    }
    details(writer, "promptTokensDetails", usage.whole_input(), &[("AUDIO", *input_audio), ("IMAGE", *input_image)]);
    details(writer, "candidatesTokensDetails", output.saturating_sub(*reasoning), &[("AUDIO", *output_audio)]);
    match tier {
        Some("default") => writer.key("serviceTier").text("standard"),
        Some(tier @ ("flex" | "priority")) => writer.key("serviceTier").text(tier),
        Some(_) | None => {}
    }
    writer.end_object();
}

/// Writes tokens by modality, where there is more than text.
fn details(writer: &mut Writer<'_>, name: &str, whole: u64, parts: &[(&str, u64)]) {
    let others: u64 = parts.iter().map(|(_, count)| count).sum();
    if others == 0 {
        return;
    }
    writer.array(name);
    for (modality, count) in parts.iter().copied().chain([("TEXT", whole.saturating_sub(others))]) {
        if count > 0 {
            writer.begin_object();
            writer.key("modality").text(modality);
            writer.key("tokenCount").count(count);
            writer.end_object();
        }
    }
    writer.end_array();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    fn usage(text: &str) -> Option<Usage> {
        read(Document::parse(text.as_bytes()).unwrap().root())
    }

    #[test]
    fn thoughts_are_output_and_what_tools_read_is_input() {
        let recorded = r#"{"promptTokenCount":32,"candidatesTokenCount":25,"totalTokenCount":4704,"toolUsePromptTokenCount":4610,"thoughtsTokenCount":37}"#;
        let told = usage(recorded).unwrap();
        assert_eq!((told.input, told.output, told.reasoning, told.total()), (4_642, 62, 37, 4_704));
        let recorded = r#"{"cachedContentTokenCount":17379,"candidatesTokenCount":68,"promptTokenCount":17713,"thoughtsTokenCount":821,"totalTokenCount":18602,"promptTokensDetails":[{"modality":"VIDEO","tokenCount":15780},{"modality":"AUDIO","tokenCount":1917}]}"#;
        let told = usage(recorded).unwrap();
        assert_eq!((told.input, told.cache_read, told.output, told.input_audio, told.total()), (334, 17_379, 889, 1_917, 18_602));
        assert_eq!(usage(r#"{"trafficType":"ON_DEMAND"}"#), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let whole = Usage {
            input: 10,
            cache_read: 2,
            cache_write: 0,
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
        write(&mut writer, &whole, Some("default"));
        writer.end_object();
        let document = Document::parse(&out).unwrap();
        assert_eq!(read(document.root().get("usageMetadata").unwrap()), Some(whole));
    }
}
