//! What a text cites, in this format's flat shape.

use crate::wire::Format;
use crate::wire::ir::Citation;
use crate::wire::json::Writer;

/// Returns whether the format has room for a citation: it cites addresses, and files of its own.
pub(super) const fn carries(citation: &Citation<'_>) -> bool {
    citation.url.is_some() || matches!(citation.origin.0, Format::OpenaiResponses)
}

/// Writes an annotation for characters of the text.
pub(super) fn write(writer: &mut Writer<'_>, citation: &Citation<'_>, span: (u64, u64)) {
    let Citation { url, title, cited: _, span: own, origin, at: _ } = citation;
    if origin.0 == Format::OpenaiResponses {
        return writer.json(&origin.1);
    }
    let (start, end) = own.unwrap_or(span);
    writer.begin_object();
    writer.key("type").text("url_citation");
    writer.key("url").text(url.as_deref().unwrap_or_default());
    writer.key("title").text(title.as_deref().unwrap_or_default());
    writer.key("start_index").count(start);
    writer.key("end_index").count(end);
    writer.end_object();
}
