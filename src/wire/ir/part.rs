//! Parts: the pieces that messages and answers are made of.

use crate::wire::Format;
use crate::wire::json::{Extras, Given, Json, Place, Text};

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<'a> {
    /// What it is.
    pub content: Content<'a>,
    /// "Cache the prompt up to here".
    pub cache: Option<Given<CacheMark<'a>>>,
    /// What nobody understood of it.
    pub extras: Extras<'a>,
    /// Where it stands.
    pub at: Place,
}

impl<'a> Part<'a> {
    /// Makes a part that carries nothing but its content.
    pub const fn new(content: Content<'a>, at: Place) -> Self {
        Self { content, cache: None, extras: Vec::new(), at }
    }

    /// Makes a part of text.
    pub const fn text(text: Text<'a>, at: Place) -> Self {
        Self::new(Content::Text { text, citations: Vec::new() }, at)
    }
}

/// A mark up to which the prompt shall be cached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheMark<'a> {
    /// How long: `5m`, `1h`; the provider's default where it is not said.
    pub ttl: Option<Text<'a>>,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// Text, with what it cites. An answer's or a prompt's.
    Text {
        /// The text.
        text: Text<'a>,
        /// What it cites.
        citations: Vec<Citation<'a>>,
    },
    /// A picture.
    Image {
        /// The picture.
        media: Media<'a>,
        /// How closely to look: `auto`, `low`, `high`.
        detail: Option<Given<Text<'a>>>,
    },
    /// Sound.
    Audio {
        /// The sound; its media type is `audio/…`.
        media: Media<'a>,
    },
    /// Moving pictures.
    Video {
        /// The film.
        media: Media<'a>,
    },
    /// A document: PDF, plain text, or another file.
    Document {
        /// The document.
        media: Media<'a>,
        /// Its title or file name.
        title: Option<Given<Text<'a>>>,
        /// What the model should know about it and not cite.
        context: Option<Given<Text<'a>>>,
        /// Whether the answer shall cite it.
        citations: Option<Given<bool>>,
    },
    /// The model calls a tool of the client.
    ToolCall(ToolCall<'a>),
    /// What a tool of the client said. Stands only in messages of [`super::Role::Tool`].
    ToolResult(ToolResult<'a>),
    /// What the model thought, or a summary of it.
    Thinking {
        /// The text; may be empty where only the signature is given.
        text: Text<'a>,
        /// The maker's proof, or its encrypted thoughts.
        signature: Option<Signature<'a>>,
    },
    /// Thoughts that only their maker can read.
    RedactedThinking {
        /// The opaque data and who made it.
        data: Signature<'a>,
    },
    /// The model declines, in its own words.
    Refusal {
        /// The words.
        text: Text<'a>,
    },
    /// What only one format has: server tools and their results, blocks of the future.
    Opaque {
        /// The format it is from.
        format: Format,
        /// The block, whole.
        block: Json<'a>,
    },
}

/// The bytes of a picture, a sound, a document, or where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media<'a> {
    /// In the message, in base64.
    Base64 {
        /// `image/png`, `application/pdf`, ….
        media_type: Text<'a>,
        /// The bytes, in base64 without line breaks.
        data: Text<'a>,
    },
    /// Somewhere that the provider fetches it from.
    Url(Text<'a>),
    /// Uploaded before, to this provider.
    File(Text<'a>),
    /// Plain text, in the message.
    Text(Text<'a>),
}

impl<'a> Media<'a> {
    /// Reads a URL; one of the form `data:TYPE;base64,DATA` is taken apart.
    pub fn from_url(url: Text<'a>) -> Self {
        let Some((media_type, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
            return Self::Url(url);
        };
        let (from, to) = ("data:".len(), "data:".len() + media_type.len());
        let skip = url.len() - data.len();
        match url {
            Text::Borrowed(text) => Self::Base64 {
                media_type: Text::Borrowed(text.get(from..to).unwrap_or_default()),
                data: Text::Borrowed(text.get(skip..).unwrap_or_default()),
            },
            Text::Owned(ref text) => Self::Base64 {
                media_type: Text::Owned(text.get(from..to).unwrap_or_default().to_owned()),
                data: Text::Owned(text.get(skip..).unwrap_or_default().to_owned()),
            },
        }
    }
}

impl Media<'_> {
    /// Copies what is borrowed.
    pub fn into_owned(self) -> Media<'static> {
        let own = |text: Text<'_>| Text::Owned(text.into_owned());
        match self {
            Self::Base64 { media_type, data } => Media::Base64 { media_type: own(media_type), data: own(data) },
            Self::Url(url) => Media::Url(own(url)),
            Self::File(id) => Media::File(own(id)),
            Self::Text(text) => Media::Text(own(text)),
        }
    }

    /// Returns the address: `data:TYPE;base64,DATA` for what is in the message; none for an upload or plain text.
    pub fn to_url(&self) -> Option<Text<'_>> {
        match self {
            Self::Base64 { media_type, data } => Some(Text::Owned(format!("data:{media_type};base64,{data}"))),
            Self::Url(url) => Some(Text::Borrowed(url)),
            Self::File(_) | Self::Text(_) => None,
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// Pairs the call with its result.
    pub id: Text<'a>,
    /// The tool's name.
    pub name: Text<'a>,
    /// For a function: the text of a JSON object, never empty (`{}`), unless the model wrote something broken. For a custom tool: free text.
    pub input: Text<'a>,
    /// A custom tool takes free text instead of a JSON object.
    pub is_custom: bool,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult<'a> {
    /// The call that this answers.
    pub id: Text<'a>,
    /// The tool's name, where the format says it; otherwise the message with the call knows.
    pub name: Option<Text<'a>>,
    /// What the tool said: text, pictures, documents.
    pub parts: Vec<Part<'a>>,
    /// Whether the tool failed.
    pub is_error: Option<Given<bool>>,
}

/// Whose reasoning an opaque value is. Sent to anybody else it is refused, or worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// Claude, wherever it runs.
    Anthropic,
    /// OpenAI's models.
    OpenAi,
    /// Gemini, wherever it runs.
    Gemini,
    /// Grok.
    Xai,
    /// Nobody that we know.
    Unknown,
}

impl Maker {
    /// Every maker.
    pub const ALL: [Self; 5] = [Self::Anthropic, Self::OpenAi, Self::Gemini, Self::Xai, Self::Unknown];

    /// Returns the name that OpenRouter coined in `reasoning_details[].format`, and that clients send back.
    pub const fn format_name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic-claude-v1",
            Self::OpenAi => "openai-responses-v1",
            Self::Gemini => "google-gemini-v1",
            Self::Xai => "xai-responses-v1",
            Self::Unknown => "unknown",
        }
    }

    /// Reads that name.
    pub fn from_format_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|maker| maker.format_name() == name).unwrap_or(Self::Unknown)
    }
}

/// Starts a signature that is spelt in a format other than its maker's.
const TAG: &str = "bifrost.";

/// An opaque value with its maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The value, exactly as its maker sent it.
    pub value: Text<'a>,
    /// Who made it.
    pub maker: Maker,
}

impl<'a> Signature<'a> {
    /// Copies what is borrowed.
    pub fn into_owned(self) -> Signature<'static> {
        Signature { value: Text::Owned(self.value.into_owned()), maker: self.maker }
    }

    /// Reads a signature out of a field of `home`'s format: a tag says that somebody else made it.
    pub fn read(value: Text<'a>, home: Maker) -> Self {
        let tagged = value.strip_prefix(TAG).and_then(|rest| rest.split_once('.'));
        match tagged.map(|(name, inner)| (Maker::from_format_name(name), inner.to_owned())) {
            Some((maker, inner)) => Self { value: Text::Owned(inner), maker },
            None => Self { value, maker: home },
        }
    }

    /// Returns whether a body may hold a signature that was spelt for another format than its maker's: bare, or in base64 where a format's
    /// signatures are bytes; or thoughts under an id that we made up. Relayed to a provider of the format, such a body is refused.
    pub fn may_be_tagged_in(body: &[u8]) -> bool {
        [&b"\"bifrost."[..], b"\"Ymlmcm9zdC", b"\"rs_bifrost_"].iter().any(|tag| memchr::memmem::find(body, tag).is_some())
    }

    /// Spells the signature for a field of `home`'s format: bare where `home` made it, otherwise tagged, so that it comes back to its maker
    /// and to nobody else.
    pub fn spell(&self, home: Maker) -> Text<'_> {
        if self.maker == home {
            Text::Borrowed(&self.value)
        } else {
            Text::Owned(format!("{TAG}{}.{}", self.maker.format_name(), self.value))
        }
    }
}

/// What a piece of text cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation<'a> {
    /// The address, where it is a page.
    pub url: Option<Text<'a>>,
    /// The title of the page or document.
    pub title: Option<Text<'a>>,
    /// The words that are cited.
    pub cited: Option<Text<'a>>,
    /// Which characters of the answer's text rest on it.
    pub span: Option<(u64, u64)>,
    /// The format it is from, and the citation as it was written there.
    pub origin: (Format, Json<'a>),
    /// Where it stands.
    pub at: Place,
}

impl Citation<'_> {
    /// Copies what is borrowed.
    pub fn into_owned(self) -> Citation<'static> {
        let own = |text: Option<Text<'_>>| text.map(|text| Text::Owned(text.into_owned()));
        Citation {
            url: own(self.url),
            title: own(self.title),
            cited: own(self.cited),
            span: self.span,
            origin: (self.origin.0, self.origin.1.into_owned()),
            at: self.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart_and_another_url_is_not() {
        for url in [Text::Borrowed("data:image/png;base64,AAAA"), Text::Owned("data:image/png;base64,AAAA".to_owned())] {
            let media = Media::from_url(url.clone());
            assert_eq!(media, Media::Base64 { media_type: "image/png".into(), data: "AAAA".into() });
            assert_eq!(media.to_url(), Some(url));
        }
        assert_eq!(Media::from_url("https://a/b".into()), Media::Url("https://a/b".into()));
        assert_eq!(Media::from_url("data:text/plain,hi".into()), Media::Url("data:text/plain,hi".into()));
    }

    #[test]
    fn a_signature_comes_back_to_its_maker_through_any_format() {
        for maker in Maker::ALL {
            for home in Maker::ALL {
                let signature = Signature { value: "a.b=".into(), maker };
                let spelt = signature.spell(home).into_owned();
                assert_eq!(Signature::may_be_tagged_in(format!("{{\"signature\":\"{spelt}\"}}").as_bytes()), maker != home);
                assert_eq!(Signature::read(spelt.into(), home), signature, "{maker:?} in {home:?}");
            }
        }
    }
}
