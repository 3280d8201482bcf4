//! What an answer rests on: `groundingMetadata`, whose supports join pieces of the text with pages, and `citationMetadata`.

use crate::wire::Format;
use crate::wire::ir::Citation;
use crate::wire::json::{Node, Writer};

/// A citation, and the number of the part whose text rests on it, where that is said.
pub(in crate::wire::gemini) struct Found<'a> {
    pub(in crate::wire::gemini) part: Option<u64>,
    pub(in crate::wire::gemini) citation: Citation<'a>,
}

/// Finds what a candidate cites. `text` is what the part of a number says, or all of it where no number is given.
pub(in crate::wire::gemini) fn read<'a, 't>(candidate: Node<'_, 'a>, text: impl Fn(Option<u64>) -> &'t str) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    if let Some(grounding) = candidate.get("groundingMetadata") {
        let chunks: Vec<Node<'_, 'a>> = grounding.get("groundingChunks").into_iter().flat_map(Node::elements).collect();
        for support in grounding.get("groundingSupports").into_iter().flat_map(Node::elements) {
            let segment = support.get("segment");
            let part = count(segment, "partIndex");
            let span = segment.and_then(|segment| span(segment, text(part)));
            let numbers = support.get("groundingChunkIndices").into_iter().flat_map(Node::elements).filter_map(as_index);
            let pages = numbers.filter_map(|number| chunks.get(number)).filter_map(|chunk| page(*chunk));
            found.extend(pages.map(|page| Found { part, citation: citation(page, span, support) }));
        }
    }
    let sources = candidate.get("citationMetadata").and_then(|data| data.get("citations").or_else(|| data.get("citationSources")));
    for source in sources.into_iter().flat_map(Node::elements) {
        let span = span(source, text(None));
        found.push(Found { part: None, citation: citation(source, span, source) });
    }
    found
}

fn count(node: Option<Node<'_, '_>>, name: &str) -> Option<u64> {
    node.and_then(|node| node.get(name)).and_then(Node::number).and_then(|number| number.as_u64())
}

fn as_index(node: Node<'_, '_>) -> Option<usize> {
    node.number().and_then(|number| number.as_u64()).and_then(|number| usize::try_from(number).ok())
}

/// Returns what a chunk names: a page, a place, a document.
fn page<'d, 'a>(chunk: Node<'d, 'a>) -> Option<Node<'d, 'a>> {
    ["web", "maps", "retrievedContext", "image"].into_iter().find_map(|name| chunk.get(name))
}

fn citation<'a>(page: Node<'_, 'a>, span: Option<(u64, u64)>, origin: Node<'_, 'a>) -> Citation<'a> {
    let text = |name: &str| page.get(name).and_then(Node::text).filter(|text| !text.is_empty());
    Citation {
        url: text("uri").or_else(|| text("sourceUri")),
        title: text("title"),
        cited: None,
        span,
        origin: (Format::Gemini, origin.json()),
        at: origin.place(),
    }
}

/// Turns a segment, which counts bytes and is sometimes one off, into characters: by its numbers where they hold its words, otherwise by its
/// words where they stand there once.
fn span(segment: Node<'_, '_>, text: &str) -> Option<(u64, u64)> {
    let index = |name: &str| count(Some(segment), name).and_then(|number| usize::try_from(number).ok());
    let words = segment.get("text").and_then(Node::text);
    let by_number = index("endIndex").map(|end| (index("startIndex").unwrap_or_default(), end));
    let fits = |(start, end): &(usize, usize)| {
        text.get(*start..*end).is_some_and(|piece| !piece.is_empty() && words.as_deref().is_none_or(|words| piece == words))
    };
    let by_words = || {
        let words = words.as_deref().filter(|words| !words.is_empty())?;
        let mut places = text.match_indices(words);
        let (start, _) = places.next()?;
        places.next().is_none().then_some((start, start + words.len()))
    };
    let (start, end) = by_number.filter(fits).or_else(by_words)?;
    let characters = |bytes: usize| text.get(..bytes).map(|before| before.chars().count() as u64);
    characters(start).zip(characters(end))
}

/// Writes the member `groundingMetadata` for citations of another format: those that name an address. `pieces` gives each with its part's text.
pub(in crate::wire::gemini) fn write<'p>(writer: &mut Writer<'_>, pieces: &[(&'p Citation<'p>, &'p str, usize)]) {
    if pieces.is_empty() {
        return;
    }
    writer.object("groundingMetadata");
    writer.array("groundingChunks");
    for (citation, _, _) in pieces {
        writer.begin_object();
        writer.object("web");
        writer.key("uri").text(citation.url.as_deref().unwrap_or_default());
        if let Some(title) = &citation.title {
            writer.key("title").text(title);
        }
        writer.end_object();
        writer.end_object();
    }
    writer.end_array();
    writer.array("groundingSupports");
    for (number, (citation, text, part)) in (0..).zip(pieces) {
        let whole = (0, text.chars().count() as u64);
        let (start, end) = citation.span.unwrap_or(whole);
        let byte = |characters: u64| {
            let at = usize::try_from(characters).unwrap_or(usize::MAX);
            text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
        };
        let (start, end) = (byte(start), byte(end));
        writer.begin_object();
        writer.object("segment");
        writer.key("partIndex").count(*part as u64);
        writer.key("startIndex").count(start as u64);
        writer.key("endIndex").count(end as u64);
        writer.key("text").text(text.get(start..end).unwrap_or_default());
        writer.end_object();
        writer.array("groundingChunkIndices");
        writer.count(number);
        writer.end_array();
        writer.end_object();
    }
    writer.end_array();
    writer.end_object();
}

/// Returns whether a citation of another format can be written here.
pub(in crate::wire::gemini) fn can_write(citation: &Citation<'_>) -> bool {
    citation.origin.0 != Format::Gemini && citation.url.as_deref().is_some_and(|url| !url.is_empty())
}

/// Says whether nothing is lost of a citation: this format's own stand beside the parts.
pub(in crate::wire::gemini) fn is_kept(citation: &Citation<'_>) -> bool {
    citation.origin.0 == Format::Gemini || can_write(citation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn supports_count_bytes_and_citations_characters() {
        let candidate = r#"{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"maps":{"uri":"https://b"}}],"groundingSupports":[{"segment":{"startIndex":3,"endIndex":6,"text":"abc"},"groundingChunkIndices":[0,1,7]},{"segment":{"startIndex":4,"endIndex":7,"text":"abc"},"groundingChunkIndices":[0]},{"segment":{"endIndex":99},"groundingChunkIndices":[0]}]}}"#;
        let document = Document::parse(candidate.as_bytes()).unwrap();
        let found = read(document.root(), |_| "é abc.");
        let told: Vec<_> = found.iter().map(|found| (found.citation.url.as_deref(), found.citation.span)).collect();
        let (a, b) = (Some("https://a"), Some("https://b"));
        assert_eq!(told, [(a, Some((2, 5))), (b, Some((2, 5))), (a, Some((2, 5))), (a, None)]);
    }

    #[test]
    fn citations_of_another_format_become_supports() {
        let citation = Citation {
            url: Some("https://a".into()),
            title: None,
            cited: None,
            span: Some((2, 5)),
            origin: (Format::OpenaiChat, crate::wire::json::Json::new("{}")),
            at: crate::wire::json::Place::NOWHERE,
        };
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.begin_object();
        write(&mut writer, &[(&citation, "é abc.", 0)]);
        writer.end_object();
        let document = Document::parse(&out).unwrap();
        let again = read(document.root(), |_| "é abc.");
        assert_eq!(again.first().map(|found| (found.part, found.citation.span)), Some((Some(0), Some((2, 5)))));
    }
}
