//! How long a prompt would be: the requests that ask for it and their answers, in every format that has them.
//!
//! The prompt itself is read and written by the format's own codec; what a count has no use for is left out. Where a format counts nothing,
//! [`super::estimate`] guesses.

use super::codec::{BadBody, Encoded, Failure, Route, Target};
use super::ir::Request;
use super::json::{Document, Node, Writer};
use super::{Format, bedrock, gemini};

/// A request that was written for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// Where it goes, below the upstream's root.
    pub path: String,
    /// The request.
    pub encoded: Encoded,
}

/// Returns whether a format has something that counts.
pub const fn is_in(format: Format) -> bool {
    match format {
        Format::OpenaiResponses | Format::Anthropic | Format::Gemini | Format::Bedrock => true,
        Format::OpenaiChat | Format::Cohere | Format::Ollama => false,
    }
}

/// Reads a client's request.
///
/// # Errors
/// [`BadBody`], whose text is for the client.
pub fn decode<'a>(format: Format, body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
    match format {
        Format::Gemini => gemini::decode_count(body, route),
        Format::Bedrock => bedrock::decode_count(body, route),
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Cohere | Format::Ollama => {
            format.codec().decode_request(body, route)
        }
    }
}

/// Writes a request for an upstream; none where the format has nothing that counts.
pub fn encode(format: Format, request: &Request<'_>, target: &Target<'_>) -> Option<Counting> {
    let encoded = || format.codec().encode_request(request, target);
    let (path, encoded) = match format {
        Format::OpenaiChat | Format::Cohere | Format::Ollama => return None,
        Format::OpenaiResponses => ("/responses/input_tokens".to_owned(), only(encoded(), &RESPONSES)),
        Format::Anthropic => ("/messages/count_tokens".to_owned(), only(encoded(), &MESSAGES)),
        Format::Gemini => {
            let Encoded { body: _, losses, unwrap_tool } = encoded();
            let body = gemini::encode_count(request, target, true);
            (gemini::path(target.model, "countTokens"), Encoded { body, losses, unwrap_tool })
        }
        Format::Bedrock => {
            let converse = only(encoded(), &CONVERSE);
            let body = [br#"{"input":{"converse":"#.as_slice(), &converse.body, b"}}"].concat();
            (bedrock::path(target.model, "count-tokens"), Encoded { body, ..converse })
        }
    };
    Some(Counting { path, encoded })
}

/// What a count takes of a request, by format. Everything else it refuses.
const RESPONSES: [&str; 9] =
    ["model", "input", "instructions", "tools", "tool_choice", "reasoning", "text", "truncation", "parallel_tool_calls"];
const MESSAGES: [&str; 7] = ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"];
const CONVERSE: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];

/// Keeps some members of a body.
fn only(encoded: Encoded, members: &[&str]) -> Encoded {
    let mut body = Vec::with_capacity(encoded.body.len());
    if let Ok(document) = Document::parse(&encoded.body) {
        let mut writer = Writer::new(&mut body);
        writer.begin_object();
        for (key, value) in document.root().members() {
            if members.iter().any(|member| key.is(member)) {
                writer.key(&key.text().unwrap_or_default()).json(&value.json());
            }
        }
        writer.end_object();
    }
    Encoded { body, ..encoded }
}

/// Reads an upstream's answer.
///
/// # Errors
/// A [`Failure`], where it is not what the format says.
pub fn decode_answer(format: Format, body: &[u8]) -> Result<u64, Failure> {
    let name = match format {
        Format::Gemini => return gemini::decode_counted(body),
        Format::Bedrock => "inputTokens",
        Format::OpenaiChat | Format::OpenaiResponses | Format::Anthropic | Format::Cohere | Format::Ollama => "input_tokens",
    };
    let document = Document::parse(body).map_err(BadBody::from)?;
    let tokens = document.root().get(name).and_then(Node::number).and_then(|number| number.as_u64());
    tokens.ok_or_else(|| Failure::malformed("the answer counts no tokens"))
}

/// Writes an answer for a client.
pub fn encode_answer(format: Format, tokens: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    match format {
        Format::Gemini => writer.key("totalTokens").count(tokens),
        Format::Bedrock => writer.key("inputTokens").count(tokens),
        Format::Anthropic => writer.key("input_tokens").count(tokens),
        Format::OpenaiChat | Format::OpenaiResponses | Format::Cohere | Format::Ollama => {
            writer.key("object").text("response.input_tokens");
            writer.key("input_tokens").count(tokens);
        }
    }
    writer.end_object();
    body
}
