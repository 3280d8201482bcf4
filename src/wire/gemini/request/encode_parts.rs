//! Writes parts: a request's, and an answer's.

use std::collections::BTreeMap;

use crate::wire::Format;
use crate::wire::calls;
use crate::wire::gemini::answer::is_kept;
use crate::wire::gemini::{media, signature};
use crate::wire::ir::{Content, Losses, Maker, Media, Part, Signature, ToolCall, ToolResult};
use crate::wire::json::{self, Extra, Extras, Given, Place, Text, Writer};

/// Where parts are written to.
pub(in crate::wire::gemini) struct PartWriter<'w> {
    pub(in crate::wire::gemini) writer: Writer<'w>,
    pub(in crate::wire::gemini) losses: Losses,
    /// The other side speaks this format too, so what nobody understood can pass.
    pub(in crate::wire::gemini) is_same: bool,
    /// Pictures may stand inside the result of a function.
    pub(super) media_in_results: bool,
    /// The parts are an answer's: thoughts of any maker are shown, and citations are written beside the parts.
    pub(super) is_answer: bool,
}

/// Objects in a part whose unknown members are kept with the part's.
const INNER: [&str; 4] = ["inlineData.", "fileData.", "functionCall.", "functionResponse."];

/// Types that may stand inside the result of a function.
const IN_RESULTS: [&str; 5] = ["image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"];

impl<'w> PartWriter<'w> {
    /// Makes a writer of an answer's parts.
    pub(in crate::wire::gemini) fn answer(writer: Writer<'w>, is_same: bool) -> Self {
        Self { writer, losses: Losses::default(), is_same, media_in_results: false, is_answer: true }
    }
}

impl PartWriter<'_> {
    /// Writes what nobody understood of an object, where the other side speaks this format.
    pub(in crate::wire::gemini) fn extras(&mut self, extras: &Extras<'_>) {
        if !self.is_same {
            return self.losses.extras(extras);
        }
        for extra in extras.iter().filter(|extra| !INNER.iter().any(|path| extra.name.starts_with(path))) {
            self.writer.key(&extra.name).json(&extra.value);
        }
    }

    /// Writes what nobody understood of an object inside.
    pub(super) fn extras_under(&mut self, path: &str, extras: &Extras<'_>) {
        if self.is_same {
            for (name, extra) in under(path, extras) {
                self.writer.key(name).json(&extra.value);
            }
        }
    }

    /// Writes a part with its signature. Returns whether it was written.
    pub(in crate::wire::gemini) fn part(&mut self, part: &Part<'_>, signature: Option<&str>) -> bool {
        let Part { content, cache, extras, at } = part;
        let is_written = self.content(content, extras, *at);
        if is_written == Written::Whole {
            return true;
        }
        if let Some(cache) = cache {
            // The provider caches on its own.
            self.losses.approximated(cache.at);
        }
        if is_written == Written::No {
            self.losses.unsupported(*at);
            return false;
        }
        if let Some(signature) = signature {
            self.writer.key("thoughtSignature").text(signature);
        }
        if self.is_same {
            self.extras(extras);
        } else {
            // Where the signature of a call stands in OpenAI's format.
            let is_told = |extra: &&Extra<'_>| signature.is_some() && extra.name == "extra_content";
            extras.iter().filter(|extra| !is_told(extra)).for_each(|extra| self.losses.extras(std::slice::from_ref(extra)));
        }
        self.writer.end_object();
        true
    }

    /// Writes a signature that belongs to no part.
    pub(in crate::wire::gemini) fn bare_signature(&mut self, signature: &str) {
        self.writer.begin_object();
        self.writer.key("text").text("");
        self.writer.key("thoughtSignature").text(signature);
        self.writer.end_object();
    }

    /// Writes a part that is a text, all but its end.
    fn text(&mut self, text: &str) -> Written {
        self.writer.begin_object();
        self.writer.key("text").text(text);
        Written::Open
    }

    fn content(&mut self, content: &Content<'_>, extras: &Extras<'_>, at: Place) -> Written {
        match content {
            Content::Text { text, citations } => {
                // An answer's are written beside its parts; a prompt has no place for them.
                for citation in citations.iter().filter(|citation| !(self.is_answer && is_kept(citation))) {
                    self.losses.unsupported(citation.at);
                }
                self.text(text)
            }
            Content::Refusal { text } => {
                self.losses.approximated(at);
                self.text(text)
            }
            Content::Thinking { text, signature } => self.thinking(text, signature.as_ref()),
            Content::Image { media, detail } => {
                self.losses.without(detail.as_ref().filter(|detail| detail.value != "auto"));
                self.media(media, "image/jpeg", None, extras)
            }
            Content::Audio { media } => self.media(media, "audio/mpeg", None, extras),
            Content::Video { media } => self.media(media, "video/mp4", None, extras),
            Content::Document { media, title, context, citations } => {
                self.losses.without(context.as_ref());
                self.losses.without(citations.filter(|citations| citations.value).as_ref());
                self.media(media, "application/pdf", title.as_ref(), extras)
            }
            Content::ToolCall(call) => self.tool_call(call, extras, at),
            Content::Opaque { format: Format::Gemini, block } if self.is_same => {
                self.writer.json(block);
                Written::Whole
            }
            // A signature goes with the part that it belongs to, and a result has a writer of its own.
            Content::Opaque { .. } | Content::RedactedThinking { .. } | Content::ToolResult(_) => Written::No,
        }
    }

    /// Writes thoughts: to the model, only those that it had itself.
    fn thinking(&mut self, text: &str, signature: Option<&Signature<'_>>) -> Written {
        let is_own = signature.map_or(self.is_same, |signature| signature.maker == Maker::Gemini);
        if !is_own && !self.is_answer {
            return Written::No;
        }
        self.text(text);
        self.writer.key("thought").bool(true);
        if let Some(signature) = signature {
            self.writer.key("thoughtSignature").text(&signature::spell(signature));
        }
        Written::Open
    }

    /// Writes media, all but the end of the part; an upload to another provider, or what has no bytes, cannot be written.
    fn media(&mut self, media: &Media<'_>, usual: &str, title: Option<&Given<Text<'_>>>, extras: &Extras<'_>) -> Written {
        match media {
            Media::Base64 { media_type, data } => {
                self.writer.begin_object();
                self.writer.object("inlineData");
                self.writer.key("mimeType").text(if media_type == "image/jpg" { "image/jpeg" } else { media_type });
                self.writer.key("data").text(data);
                self.title(title);
                self.extras_under("inlineData.", extras);
            }
            Media::File(uri) if !self.is_same || uri.is_empty() => return Written::No,
            Media::Url(url) if !self.is_same && !url.starts_with("http") => return Written::No,
            Media::Url(uri) | Media::File(uri) => {
                self.writer.begin_object();
                self.writer.object("fileData");
                self.writer.key("fileUri").text(uri);
                if !self.is_same {
                    self.writer.key("mimeType").text(media::type_of_url(uri, usual));
                }
                self.title(title);
                self.extras_under("fileData.", extras);
            }
            Media::Text(text) => {
                return match title {
                    Some(title) => self.text(&format!("{}\n\n{text}", title.value)),
                    None => self.text(text),
                };
            }
        }
        self.writer.end_object();
        Written::Open
    }

    /// Writes a title. Only one of the API's two services takes it, so it is sent for its own clients alone.
    fn title(&mut self, title: Option<&Given<Text<'_>>>) {
        match title {
            Some(title) if self.is_same => self.writer.key("displayName").text(&title.value),
            title => self.losses.without(title),
        }
    }

    fn tool_call(&mut self, call: &ToolCall<'_>, extras: &Extras<'_>, at: Place) -> Written {
        let ToolCall { id, name, input, is_custom } = call;
        self.writer.begin_object();
        self.writer.object("functionCall");
        if !id.is_empty() && !calls::is_missing(id) {
            self.writer.key("id").text(id);
        }
        self.writer.key("name").text(name);
        if !is_custom && json::is_object(input) {
            self.writer.key("args").raw(input);
        } else {
            // Free text, or what the model broke: an object is required here.
            self.losses.approximated(at);
            self.writer.object("args");
            self.writer.key("input").text(input);
            self.writer.end_object();
        }
        self.extras_under("functionCall.", extras);
        self.writer.end_object();
        Written::Open
    }

    /// Writes a result. What cannot stand inside it is left in `beside`, to be said after the results.
    pub(super) fn tool_result<'p>(&mut self, part: &'p Part<'p>, names: &BTreeMap<&str, &str>, beside: &mut Vec<&'p Part<'p>>) {
        let Part { content: Content::ToolResult(result), cache, extras, at } = part else {
            return beside.push(part);
        };
        let ToolResult { id, name, parts, is_error } = result;
        if let Some(cache) = cache {
            self.losses.approximated(cache.at);
        }
        self.writer.begin_object();
        self.writer.object("functionResponse");
        if !id.is_empty() && !calls::is_missing(id) {
            self.writer.key("id").text(id);
        }
        let known = names.get(&**id).copied().or(name.as_deref());
        if known.is_none() {
            // A result whose call is gone; the id is the best name that there is.
            self.losses.approximated(*at);
        }
        self.writer.key("name").text(known.unwrap_or(id));
        let has_failed = is_error.is_some_and(|is_error| is_error.value);
        self.response(parts, has_failed);
        self.media_of_result(parts, beside);
        self.extras_under("functionResponse.", extras);
        self.writer.end_object();
        self.extras(extras);
        self.writer.end_object();
    }

    /// Writes what a function said as an object, which is what must stand there: as it is where it is one, otherwise under the name that the
    /// API gives a meaning.
    fn response(&mut self, parts: &[Part<'_>], has_failed: bool) {
        let texts = parts.iter().filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(&**text),
            _ => None,
        });
        let texts: Vec<&str> = texts.collect();
        let word = if has_failed { "error" } else { "output" };
        match texts.as_slice() {
            [only] if !has_failed && json::is_object(only) => self.writer.key("response").raw(only),
            [only] if json::is_object(only) => {
                self.writer.object("response");
                self.writer.key(word).raw(only);
                self.writer.end_object();
            }
            [] if self.is_same => {}
            texts => {
                self.writer.object("response");
                self.writer.key(word).text(&texts.join("\n"));
                self.writer.end_object();
            }
        }
    }

    fn media_of_result<'p>(&mut self, parts: &'p [Part<'p>], beside: &mut Vec<&'p Part<'p>>) {
        let fits = |part: &Part<'_>| match &part.content {
            Content::Image { media, .. } | Content::Document { media, .. } | Content::Audio { media } | Content::Video { media } => {
                self.is_same || (self.media_in_results && is_small_type(media))
            }
            _ => false,
        };
        let (inside, rest): (Vec<&Part<'_>>, Vec<&Part<'_>>) = parts.iter().partition(|part| fits(part));
        if !inside.is_empty() {
            self.writer.array("parts");
            for part in inside {
                self.part(part, None);
            }
            self.writer.end_array();
        }
        for part in rest {
            let Part { content, cache, extras, at } = part;
            match content {
                Content::Text { citations, .. } => {
                    citations.iter().for_each(|citation| self.losses.unsupported(citation.at));
                    self.losses.extras(extras);
                    if let Some(cache) = cache {
                        self.losses.approximated(cache.at);
                    }
                }
                Content::Image { .. } | Content::Audio { .. } | Content::Video { .. } | Content::Document { .. } => {
                    self.losses.approximated(*at);
                    beside.push(part);
                }
                _ => self.losses.unsupported(*at),
            }
        }
    }
}

/// Whether, and how far, a part was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    No,
    /// All but its end.
    Open,
    Whole,
}

fn is_small_type(media: &Media<'_>) -> bool {
    matches!(media, Media::Base64 { media_type, .. } if IN_RESULTS.contains(&&**media_type))
}

/// Finds the extras that belong into an object inside, with their names there.
pub(super) fn under<'e, 'a>(path: &str, extras: &'e Extras<'a>) -> impl Iterator<Item = (&'e str, &'e Extra<'a>)> {
    let own = move |extra: &'e Extra<'a>| extra.name.strip_prefix(path).filter(|name| !name.contains('.')).map(|name| (name, extra));
    extras.iter().filter_map(own)
}
