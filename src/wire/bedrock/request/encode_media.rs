//! Writes pictures, documents, films and sounds: bytes in the message, since the provider fetches nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encode_blocks::BlockWriter;
use crate::wire::bedrock::media::Kind;
use crate::wire::ir::Media;
use crate::wire::json::{Given, Text};

/// Longest name of a document that is accepted.
const MAX_NAME: usize = 200;

/// A block with media in it.
pub(super) struct MediaBlock<'b, 'a> {
    pub(super) kind: Kind,
    pub(super) media: &'b Media<'a>,
    pub(super) title: Option<&'b Given<Text<'a>>>,
    pub(super) context: Option<&'b Given<Text<'a>>>,
    pub(super) citations: Option<&'b Given<bool>>,
}

impl<'b, 'a> MediaBlock<'b, 'a> {
    /// Makes a block that says nothing about its media.
    pub(super) const fn bare(kind: Kind, media: &'b Media<'a>) -> Self {
        Self { kind, media, title: None, context: None, citations: None }
    }
}

/// Writes the data of redacted thoughts, which is text at its maker and bytes here.
pub(in crate::wire::bedrock) fn encode_redacted(data: &str) -> String {
    STANDARD.encode(data)
}

impl BlockWriter<'_> {
    /// Opens a block with its media, and leaves it open. Returns whether it can be said; where not, nothing is written.
    pub(super) fn media(&mut self, block: &MediaBlock<'_, '_>) -> bool {
        let MediaBlock { kind, media, title, context, citations } = block;
        let Some((format, member, data)) = self.source(*kind, media) else { return false };
        self.writer.begin_object();
        self.writer.object(kind.name());
        self.writer.key("format").text(format);
        if *kind == Kind::Document {
            self.name(*title);
        }
        self.writer.object("source");
        self.writer.key(member).text(data);
        self.writer.end_object();
        if let Some(context) = context {
            self.writer.key("context").text(&context.value);
        }
        if let Some(citations) = citations {
            self.writer.object("citations");
            self.writer.key("enabled").bool(citations.value);
            self.writer.end_object();
        }
        self.writer.end_object();
        true
    }

    /// Returns the format's word, the member of the source, and what stands in it.
    fn source<'m>(&self, kind: Kind, media: &'m Media<'_>) -> Option<(&'m str, &'static str, &'m str)> {
        match media {
            Media::Base64 { media_type, data } => {
                let of_text = || (kind == Kind::Document && media_type.starts_with("text/")).then_some("txt");
                // A word of the future, which a client of this format used.
                let own = || media_type.split_once('/').map(|(_, word)| word).filter(|_| self.is_same);
                let format = kind.format(media_type).or_else(own).or_else(of_text)?;
                Some((format, "bytes", data))
            }
            Media::Text(text) if kind == Kind::Document => Some(("txt", "text", text)),
            Media::Url(_) | Media::File(_) | Media::Text(_) => None,
        }
    }

    /// Writes the document's name, which is required, may hold few characters, and must not stand twice.
    fn name(&mut self, title: Option<&Given<Text<'_>>>) {
        if self.is_same {
            if let Some(title) = title {
                self.writer.key("name").text(&title.value);
            }
            return;
        }
        let wished = title.map(|title| tidy(&title.value)).filter(|name| !name.is_empty());
        let wished = wished.unwrap_or_else(|| "Document".to_owned());
        let mut name = wished.clone();
        let mut number = 1_u32;
        while !self.documents.insert(name.clone()) {
            number += 1;
            name = format!("{wished} {number}");
        }
        if let Some(title) = title.filter(|title| title.value != name) {
            self.losses.approximated(title.at);
        }
        self.writer.key("name").text(&name);
    }
}

/// Keeps letters, digits, hyphens, brackets and single spaces, which is all that a name may hold.
fn tidy(title: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-()[]".contains(character);
    let plain: String = title.chars().map(|character| if fits(character) || character.is_whitespace() { character } else { '-' }).collect();
    let mut name = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    // Room for a number behind it.
    name.truncate(MAX_NAME - 10);
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_what_a_name_may_hold() {
        for (title, name) in [
            ("Annual report (2026) [final]", "Annual report (2026) [final]"),
            ("a_b.pdf", "a-b-pdf"),
            ("  many \t blanks ", "many blanks"),
            ("Übung", "-bung"),
            ("", ""),
        ] {
            assert_eq!(tidy(title), name, "{title}");
        }
        assert_eq!(tidy(&"a".repeat(300)).len(), 190);
    }
}
