//! Writes the parts of messages and of tools' results.

use super::encode_items::ItemWriter;
use crate::wire::Format;
use crate::wire::ir::{CacheMark, Citation, Content, Media, Part};
use crate::wire::json::{Given, Text};
use crate::wire::openai_responses::annotation;
use crate::wire::quirks::CacheMarks;

impl ItemWriter<'_, '_> {
    /// Writes content: a string where one bare text is all there is, otherwise parts.
    pub(super) fn content(&mut self, parts: &[&Part<'_>], is_output: bool) {
        if let [only] = parts
            && let Content::Text { text, citations } = &only.content
            && (only.extras.is_empty() || !self.is_same)
            && (citations.is_empty() || !is_output)
            && !(self.marks() && only.cache.is_some())
        {
            self.citations(citations, text, is_output);
            self.losses.extras(&only.extras);
            self.cache_mark(only.cache.as_ref(), false);
            return self.writer.text(text);
        }
        self.writer.begin_array();
        for part in parts {
            self.part(part, is_output);
        }
        self.writer.end_array();
    }

    /// Returns the parts that a message can hold, and tells what becomes of the others.
    pub(super) fn carried<'p, 'a>(&mut self, parts: &[&'p Part<'a>]) -> Vec<&'p Part<'a>> {
        let (carried, lost): (Vec<&'p Part<'a>>, Vec<&'p Part<'a>>) = parts.iter().partition(|part| self.carries(part));
        for part in lost {
            self.losses.unsupported(part.at);
        }
        carried
    }

    /// Returns whether a message can hold the part.
    fn carries(&self, part: &Part<'_>) -> bool {
        match &part.content {
            Content::Text { .. } | Content::Refusal { .. } => true,
            Content::Image { media, .. } => matches!(media, Media::Base64 { .. } | Media::Url(_)) || self.is_same,
            Content::Audio { media } => matches!(media, Media::Base64 { .. }),
            Content::Document { media, .. } => !matches!(media, Media::File(_)) || self.is_same,
            Content::Opaque { .. } => self.is_same,
            Content::Video { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. } => false,
        }
    }

    fn part(&mut self, part: &Part<'_>, is_output: bool) {
        let Part { content, cache, extras, at } = part;
        match content {
            Content::Text { text, citations } => {
                self.begin(if is_output { "output_text" } else { "input_text" });
                self.writer.key("text").text(text);
                self.citations(citations, text, is_output);
            }
            Content::Refusal { text } if is_output => {
                self.begin("refusal");
                self.writer.key("refusal").text(text);
            }
            Content::Refusal { text } => {
                self.losses.approximated(*at);
                self.begin("input_text");
                self.writer.key("text").text(text);
            }
            Content::Image { media, detail } => {
                self.begin("input_image");
                self.media(media, ("image_url", "image_url"));
                if let Some(detail) = detail {
                    self.writer.key("detail").text(&detail.value);
                }
            }
            Content::Document { media, title, context, citations } => {
                self.losses.without(context.as_ref());
                self.losses.without(citations.as_ref());
                self.document(media, title.as_ref());
            }
            Content::Audio { media } => self.audio(media),
            Content::Opaque { format: _, block } => return self.writer.json(block),
            // Not carried; the caller has told it.
            Content::Video { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. } => return,
        }
        self.cache_mark(cache.as_ref(), !is_output);
        self.end(extras);
    }

    fn citations(&mut self, citations: &[Citation<'_>], text: &str, is_output: bool) {
        let can = |citation: &&Citation<'_>| is_output && annotation::carries(citation);
        for lost in citations.iter().filter(|citation| !can(citation)) {
            self.losses.unsupported(lost.at);
        }
        if citations.iter().any(|citation| can(&citation)) {
            self.writer.array("annotations");
            for citation in citations.iter().filter(can) {
                // What other formats say besides, the words that are cited for one, has no place.
                if !matches!(citation.origin.0, Format::OpenaiResponses | Format::OpenaiChat) {
                    self.losses.approximated(citation.at);
                }
                annotation::write(self.writer, citation, (0, text.chars().count() as u64));
            }
            self.writer.end_array();
        }
    }

    /// Writes where the bytes are, or the bytes; `names` are the members for a URL and for data.
    fn media(&mut self, media: &Media<'_>, names: (&str, &str)) {
        match media {
            Media::Base64 { media_type, data } => self.writer.key(names.1).text(&format!("data:{media_type};base64,{data}")),
            Media::Url(url) => self.writer.key(names.0).text(url),
            Media::File(id) => self.writer.key("file_id").text(id),
            // No picture is plain text, and documents that are were written before.
            Media::Text(text) => self.writer.key(names.1).text(text),
        }
    }

    fn document(&mut self, media: &Media<'_>, title: Option<&Given<Text<'_>>>) {
        if let Media::Text(text) = media {
            self.begin("input_text");
            return match title {
                Some(title) => self.writer.key("text").text(&format!("{}\n\n{text}", title.value)),
                None => self.writer.key("text").text(text),
            };
        }
        self.begin("input_file");
        let is_data = matches!(media, Media::Base64 { .. });
        match title {
            Some(title) => self.writer.key("filename").text(&title.value),
            // The name is required beside the data.
            None if is_data && !self.is_same => self.writer.key("filename").text("document"),
            None => {}
        }
        self.media(media, ("file_url", "file_data"));
    }

    fn audio(&mut self, media: &Media<'_>) {
        let Media::Base64 { media_type, data } = media else { return };
        self.begin("input_audio");
        self.writer.object("input_audio");
        self.writer.key("data").text(data);
        let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
            "mpeg" => "mp3",
            "x-wav" | "wave" => "wav",
            other => other,
        };
        self.writer.key("format").text(format);
        self.writer.end_object();
    }

    /// Returns whether the server is told where to cache.
    fn marks(&self) -> bool {
        self.is_same || self.quirks.cache_marks == CacheMarks::Breakpoint
    }

    /// Writes a cache mark where one may stand; elsewhere the server caches on its own.
    pub(super) fn cache_mark(&mut self, mark: Option<&Given<CacheMark<'_>>>, may_stand: bool) {
        let Some(mark) = mark else { return };
        if !may_stand || !self.marks() {
            return self.losses.approximated(mark.at);
        }
        self.writer.object("prompt_cache_breakpoint");
        self.writer.key("mode").text("explicit");
        if let Some(ttl) = &mark.value.ttl {
            // The nearest that is not shorter.
            let sent = match &**ttl {
                own if self.is_same || matches!(own, "30m" | "12h") => own,
                "5m" => "30m",
                _ => "12h",
            };
            if sent != ttl {
                self.losses.approximated(mark.at);
            }
            self.writer.key("ttl").text(sent);
        }
        self.writer.end_object();
    }
}
