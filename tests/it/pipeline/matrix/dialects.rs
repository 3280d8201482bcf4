//! What the upstreams of the matrix speak, how a client of each format asks, and how it knows that an answer is whole.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::harness::{KEY, Rig, Seen};

/// What an upstream speaks, and where its streams have their first contents.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Upstream {
    pub(in crate::pipeline) name: &'static str,
    pub(in crate::pipeline) api: &'static str,
    /// Events before the first content.
    pub(in crate::pipeline) early: usize,
    /// Events up to the second content.
    pub(in crate::pipeline) late: usize,
    pub(in crate::pipeline) clients: &'static [Client],
}

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Client {
    Chat,
    Responses,
    Messages,
    Gemini,
    Converse,
    Cohere,
}

const fn upstream(name: &'static str, api: &'static str, events: (usize, usize), clients: &'static [Client]) -> Upstream {
    Upstream { name, api, early: events.0, late: events.1, clients }
}

pub(in crate::pipeline) const CHAT: Upstream = upstream("chat", "openai-chat", (1, 3), &[Client::Chat]);
pub(in crate::pipeline) const RESPONSES: Upstream = upstream("responses", "openai-chat", (4, 6), &[Client::Responses]);
pub(in crate::pipeline) const ANTHROPIC: Upstream = upstream("anthropic", "anthropic", (2, 4), &[Client::Chat, Client::Messages]);
pub(in crate::pipeline) const GEMINI: Upstream = upstream("gemini", "gemini", (0, 2), &[Client::Chat, Client::Gemini]);
pub(in crate::pipeline) const BEDROCK: Upstream = upstream("bedrock", "bedrock", (1, 3), &[Client::Chat, Client::Converse]);
pub(in crate::pipeline) const COHERE: Upstream = upstream("cohere", "cohere", (2, 4), &[Client::Chat, Client::Cohere]);
pub(in crate::pipeline) const OLLAMA: Upstream = upstream("ollama", "ollama", (0, 2), &[Client::Chat]);

const WORDS: &str = "say hello world";

impl Client {
    /// Sends the request of the matrix.
    pub(in crate::pipeline) async fn ask(self, rig: &Rig, is_stream: bool) -> Seen {
        let messages = json!([{"role": "user", "content": WORDS}]);
        let named = json!({"model": "fast", "stream": is_stream, "max_tokens": 50, "messages": messages});
        let parts = |name: &str| json!([{"role": "user", name: [{"text": WORDS}]}]);
        let (path, body): (&str, Value) = match (self, is_stream) {
            (Self::Chat, _) => ("/v1/chat/completions", named),
            (Self::Messages, _) => ("/v1/messages", named),
            (Self::Cohere, _) => ("/cohere/v2/chat", named),
            (Self::Responses, _) => {
                ("/v1/responses", json!({"model": "fast", "stream": is_stream, "max_output_tokens": 50, "input": WORDS}))
            }
            (Self::Gemini, true) => ("/v1beta/models/fast:streamGenerateContent?alt=sse", gemini(&parts("parts"))),
            (Self::Gemini, false) => ("/v1beta/models/fast:generateContent", gemini(&parts("parts"))),
            (Self::Converse, true) => ("/bedrock/model/fast/converse-stream", converse(&parts("content"))),
            (Self::Converse, false) => ("/bedrock/model/fast/converse", converse(&parts("content"))),
        };
        rig.call("POST", path, &[("authorization", &format!("Bearer {KEY}"))], Bytes::from(body.to_string())).await
    }

    /// Says what the client sees: the status, then the word of the error in the client's format or `done` at the end of a stream.
    pub(in crate::pipeline) fn sees(self, seen: &Seen, is_stream: bool) -> String {
        let status = seen.status.as_u16();
        if status < 400 && !is_stream {
            return status.to_string();
        }
        if status >= 400 {
            let of_header = seen.headers.get("x-amzn-errortype").and_then(|word| word.to_str().ok());
            return format!("{status} {}", of_header.map_or_else(|| self.word(&seen.json()), str::to_owned));
        }
        format!("{status} {}", self.end(&seen.body))
    }

    /// The word by which a program of this format tells one error from another; `error` where the format has none.
    fn word(self, told: &Value) -> String {
        let at = match self {
            Self::Chat => "/error/code",
            Self::Responses if told.get("response").is_some() => "/response/error/code",
            Self::Responses if told.get("code").is_some() => "/code",
            Self::Responses => "/error/code",
            Self::Messages => "/error/type",
            Self::Gemini => "/error/status",
            Self::Converse | Self::Cohere => return "error".to_owned(),
        };
        told.pointer(at).map_or_else(|| "none".to_owned(), |word| word.as_str().unwrap_or("null").to_owned())
    }

    /// The end of a stream, from its last event.
    fn end(self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = if self == Self::Cohere { text.trim_end().trim_end_matches("data: [DONE]") } else { &text };
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let data: Value = last.split_once("data: ").and_then(|(_, data)| serde_json::from_str(data).ok()).unwrap_or_default();
        let (is_done, is_error) = match self {
            Self::Chat => (last == "data: [DONE]", data.get("error").is_some()),
            Self::Responses => (data["type"] == "response.completed", data["type"] == "response.failed" || data["type"] == "error"),
            Self::Messages => (data["type"] == "message_stop", data["type"] == "error"),
            Self::Gemini => (data["candidates"][0]["finishReason"] == "STOP", data.get("error").is_some()),
            // An exception is a message of its own, and nothing comes after it.
            Self::Converse => {
                let at = |word: &str| text.rfind(word).map_or(-1, |at| i64::try_from(at).unwrap());
                (at("messageStop") > at(":exception-type"), at(":exception-type") > at("messageStop"))
            }
            Self::Cohere => {
                let reason = data["delta"]["finish_reason"].as_str().unwrap_or_default();
                (reason == "COMPLETE", reason == "ERROR")
            }
        };
        match (is_done, is_error) {
            (true, false) => "done".to_owned(),
            (false, true) if self == Self::Converse => exception(text),
            (false, true) => self.word(&data),
            _ => format!("an end like {last}"),
        }
    }
}

fn gemini(contents: &Value) -> Value {
    json!({"contents": contents, "generationConfig": {"maxOutputTokens": 50}})
}

fn converse(messages: &Value) -> Value {
    json!({"messages": messages, "inferenceConfig": {"maxTokens": 50}})
}

/// The name of the last exception of an event stream.
fn exception(text: &str) -> String {
    let (_, after) = text.rsplit_once(":exception-type").unwrap_or_default();
    // A byte for the type of the value, two for its length.
    after.chars().skip_while(|letter| !letter.is_ascii_alphabetic()).take_while(char::is_ascii_alphanumeric).collect()
}
