//! A guess at how many tokens a text is, where nobody counts them. Pure and quick; no vocabulary of any model is here.
//!
//! What a provider adds on its own is not known: its template, what it tells a model of tools (Cohere and Claude some hundred tokens). So
//! short prompts with tools come out too low, or too high; of what is long, most is near. Pictures and documents count as what the big
//! providers bill for one of usual size.

use super::ir::{Content, Delta, Event, Media, Message, Output, Part, PartStart, Request, ToolKind};

/// What a message costs beside its text.
const MESSAGE: u64 = 4;
/// What a tool costs beside its own words.
const TOOL: u64 = 20;
/// What a model is told of tools at all: from 20 tokens to 1,400, by its maker.
const TOOLS: u64 = 100;
/// What a model is told of a schema that it must keep to.
const SCHEMA: u64 = 60;
/// A picture of usual size.
const IMAGE: u64 = 1_500;
/// Bytes of a document in base64 that come to one token: a page of a PDF is about 1,500 tokens and some 50 kB.
const DOCUMENT_BYTES: u64 = 40;
/// Bytes of a sound in base64 that come to one token: 32 tokens are a second, which is some 5 kB.
const SOUND_BYTES: u64 = 160;

/// Guesses how many tokens a request's prompt has.
pub fn request(request: &Request<'_>) -> u64 {
    let messages: u64 = request.messages.iter().map(message).sum();
    let tools: u64 = request
        .tools
        .iter()
        .map(|tool| match &tool.kind {
            ToolKind::Function { name, description, parameters, strict: _ } => {
                let described = description.as_ref().map_or(0, |it| text(&it.value));
                TOOL + text(name) + described + parameters.as_ref().map_or(0, |it| text(it.as_str()))
            }
            ToolKind::Custom { name, description, grammar } => {
                let described = description.as_ref().map_or(0, |it| text(&it.value));
                TOOL + text(name) + described + grammar.as_ref().map_or(0, |it| text(it.value.as_str()))
            }
            ToolKind::Opaque { definition } => text(definition.as_str()),
        })
        .sum();
    let schema = match request.output.as_ref().map(|given| &given.value) {
        Some(Output::JsonSchema { schema, .. }) => SCHEMA + text(schema.as_str()),
        Some(Output::JsonObject | Output::Text) | None => 0,
    };
    let told = if request.tools.is_empty() { 0 } else { TOOLS };
    messages + tools + told + schema
}

fn message(message: &Message<'_>) -> u64 {
    MESSAGE + parts(&message.parts)
}

fn parts(parts: &[Part<'_>]) -> u64 {
    parts.iter().map(|part| content(&part.content)).sum()
}

fn content(content: &Content<'_>) -> u64 {
    match content {
        Content::Text { text: said, .. } | Content::Refusal { text: said } | Content::Thinking { text: said, .. } => text(said),
        Content::Image { .. } => IMAGE,
        Content::Audio { media } | Content::Video { media } => bytes(media, SOUND_BYTES),
        Content::Document { media, .. } => bytes(media, DOCUMENT_BYTES),
        Content::ToolCall(call) => 8 + text(&call.name) + text(&call.input),
        Content::ToolResult(result) => 8 + parts(&result.parts),
        Content::RedactedThinking { .. } => 0,
        Content::Opaque { block, .. } => text(block.as_str()),
    }
}

fn bytes(media: &Media<'_>, per_token: u64) -> u64 {
    match media {
        Media::Base64 { data, .. } => data.len() as u64 / per_token,
        Media::Url(_) | Media::File(_) => IMAGE,
        Media::Text(said) => text(said),
    }
}

/// Most bytes of a piece of a stream that is one token: those who send token by token send no longer ones.
const ONE: usize = 16;

/// Counts the tokens of one piece of a stream, by its bytes: at least one.
pub fn delta(bytes: usize) -> u64 {
    if bytes <= ONE { 1 } else { (bytes as u64).div_ceil(4) }
}

/// Counts the output tokens of one event of a stream.
pub fn event(event: &Event<'_>) -> u64 {
    match event {
        Event::Delta { delta: it, .. } => match it {
            Delta::Text(text) | Delta::Input(text) => delta(text.len()),
            Delta::Opaque(raw) => delta(raw.as_str().len()),
            Delta::Signature(_) | Delta::Citation(_) => 0,
        },
        Event::PartStart { start, .. } => match start {
            PartStart::ToolCall { name, .. } => delta(name.len()),
            PartStart::Image(_) => IMAGE,
            PartStart::Text | PartStart::Thinking | PartStart::Refusal | PartStart::RedactedThinking(_) | PartStart::Opaque { .. } => 0,
        },
        Event::Start { .. }
        | Event::PartEnd { .. }
        | Event::Logprobs { .. }
        | Event::Usage(_)
        | Event::ServiceTier(_)
        | Event::Finish { .. }
        | Event::End
        | Event::Ping => 0,
    }
}

/// Guesses how many tokens a text is. Words are cut where vocabularies of models cut them: a word with the blank before it, three digits, a
/// run of marks.
pub fn text(text: &str) -> u64 {
    let mut tokens = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let class = Class::of(first);
        let end = rest.find(|it| Class::of(it) != class).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let letters = run.chars().count() as u64;
        tokens += match class {
            // Most words up to seven letters are one token; longer ones fall into pieces of about five.
            Class::Letter => {
                if letters <= 7 {
                    1
                } else {
                    letters.div_ceil(5)
                }
            }
            Class::Digit => letters.div_ceil(3),
            Class::Mark => letters.div_ceil(2),
            // A single blank belongs to the word behind it.
            Class::Blank => u64::from(letters > 1 || run == "\n"),
            // Scripts with a token for each sign, or nearly.
            Class::Sign => letters,
            // Letters beyond ASCII fall into pieces of about two.
            Class::Foreign => letters.div_ceil(2),
        };
        rest = after;
    }
    tokens
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Class {
    Letter,
    Digit,
    Mark,
    Blank,
    Sign,
    Foreign,
}

impl Class {
    fn of(sign: char) -> Self {
        match sign {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Self::Letter,
            '0'..='9' => Self::Digit,
            _ if sign.is_whitespace() => Self::Blank,
            _ if sign.is_ascii() => Self::Mark,
            '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{1f000}'..='\u{3ffff}' => Self::Sign,
            _ => Self::Foreign,
        }
    }
}
