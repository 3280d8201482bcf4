//! The facts of a request, read from its scanned body and its head. Pure; computed only for tables whose rules or templates need them.
//!
//! Rule: facts are for routing, not for billing. What would take a tokenizer is estimated, and says so.

use std::sync::Arc;

use http::HeaderMap;

use crate::plan::expr::{Endpoint, Facts, KeyFacts};
use crate::wire::edit::Object;

/// Bytes of text that make one token: English, code and JSON escapes all come close to four.
const BYTES_PER_TOKEN: u64 = 4;
/// What an inline file (image, audio, PDF) is taken for, whose base64 is no text: OpenAI bills 85 to 1,105 tokens for an image.
const TOKENS_PER_FILE: u64 = 1_000;
/// A data URL, or a string that begins with so many characters of base64, is an inline file and no text.
const FILE_BYTES: usize = 1_024;

/// What the facts of a request are read from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The key's facts, or those of an anonymous request.
    pub key: &'a Arc<KeyFacts>,
    /// The model as the client asked for it.
    pub model: &'a str,
    /// What kind of request it is.
    pub endpoint: Endpoint,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The body, where it is a JSON object.
    pub body: Option<&'a Object<'a>>,
    /// Size of the body.
    pub body_bytes: u64,
    /// The head.
    pub headers: &'a Arc<HeaderMap>,
    /// When it arrived, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

/// What a request uses, as far as it decides who can serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uses {
    /// Tools are offered.
    pub tools: bool,
    /// The prompt holds pictures.
    pub vision: bool,
    /// The answer must fit a JSON schema.
    pub json_schema: bool,
}

/// Reads what a request uses. About a microsecond for 10 KB.
pub fn uses(body: &Object<'_>) -> Uses {
    let tools = ["tools", "functions"].iter().any(|name| is_filled_list(body.get(name)));
    Uses { tools, vision: has_images(body), json_schema: wants_schema(body) }
}

/// Reads the client's limit of output tokens, by any of its names.
pub fn max_output_tokens(body: &Object<'_>) -> Option<u64> {
    ["max_completion_tokens", "max_tokens", "max_output_tokens"].into_iter().find_map(|name| body.integer(name))
}

impl Request<'_> {
    /// Reads the facts. One pass over the prompt's bytes: about a microsecond for 10 KB.
    pub fn facts(&self) -> Facts {
        let body = self.body;
        let Uses { tools, vision, json_schema } = body.map(uses).unwrap_or_default();
        Facts {
            key: Arc::clone(self.key),
            model: Arc::from(self.model),
            endpoint: self.endpoint,
            stream: self.stream,
            input_tokens: body.map_or(0, input_tokens),
            max_output_tokens: body.and_then(max_output_tokens).unwrap_or(0),
            tools,
            vision,
            json_schema,
            body_bytes: self.body_bytes,
            headers: Arc::clone(self.headers),
            hour_utc: u8::try_from(self.unix_ms / 3_600_000 % 24).unwrap_or_default(),
        }
    }
}

/// Estimates the tokens of a request from its whole body, whatever its format: what limits take before anybody has counted.
pub fn estimated_tokens(body: &[u8]) -> u64 {
    // Too short for a file.
    if body.len() < FILE_BYTES {
        return (body.len() as u64).div_ceil(BYTES_PER_TOKEN);
    }
    tokens_of([body])
}

/// Estimates the tokens of the prompt, and of the tools that are sent along.
fn input_tokens(body: &Object<'_>) -> u64 {
    let members = ["messages", "prompt", "input", "instructions", "tools", "functions", "response_format"];
    tokens_of(members.into_iter().filter_map(|name| body.get(name)))
}

fn tokens_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let (mut bytes, mut files) = (0, 0);
    for raw in parts {
        bytes += raw.len() as u64;
        for text in Strings(raw) {
            if is_file(text) {
                bytes = bytes.saturating_sub(text.len() as u64);
                files += 1;
            }
        }
    }
    bytes.div_ceil(BYTES_PER_TOKEN) + files * TOKENS_PER_FILE
}

fn is_file(text: &[u8]) -> bool {
    let Some(head) = text.get(..FILE_BYTES) else { return false };
    // A backslash, because some writers escape every slash.
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\');
    text.starts_with(b"data:") || head.iter().all(is_base64)
}

fn has_images(body: &Object<'_>) -> bool {
    ["messages", "input"].into_iter().filter_map(|name| body.get(name)).any(|raw| {
        // As a key, or as the value of `type`: inside a text, the quotes would be escaped.
        let mut after_colon = false;
        Gaps(raw).any(|(text, is_key)| {
            let is_image = matches!(text, b"image_url" | b"input_image");
            let found = is_image && (is_key || after_colon);
            after_colon = is_key && text == b"type";
            found
        })
    })
}

fn wants_schema(body: &Object<'_>) -> bool {
    let kind_is_schema = |raw: &[u8]| Object::scan(raw).is_ok_and(|format| format.string("type").as_deref() == Some("json_schema"));
    body.get("response_format").is_some_and(kind_is_schema)
        || body.get("text").and_then(|raw| Object::scan(raw).ok()).is_some_and(|text| text.get("format").is_some_and(kind_is_schema))
}

fn is_filled_list(raw: Option<&[u8]>) -> bool {
    raw.and_then(|raw| raw.strip_prefix(b"[")).is_some_and(|rest| rest.trim_ascii_start().first() != Some(&b']'))
}

/// The strings of well-formed JSON, raw, without their quotes.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = memchr::memchr(b'"', self.0)? + 1;
        let rest = self.0.get(start..)?;
        let mut at = 0;
        loop {
            let hit = at + memchr::memchr2(b'"', b'\\', rest.get(at..)?)?;
            if rest.get(hit) == Some(&b'"') {
                self.0 = rest.get(hit + 1..)?;
                return rest.get(..hit);
            }
            at = hit + 2;
        }
    }
}

/// The strings, each with whether it is a key.
struct Gaps<'a>(&'a [u8]);

impl<'a> Iterator for Gaps<'a> {
    type Item = (&'a [u8], bool);

    fn next(&mut self) -> Option<(&'a [u8], bool)> {
        let mut strings = Strings(self.0);
        let text = strings.next()?;
        self.0 = strings.0;
        Some((text, self.0.trim_ascii_start().first() == Some(&b':')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(body: &str) -> Facts {
        let object = Object::scan(body.as_bytes()).unwrap();
        let (key, headers) = (Arc::new(KeyFacts::anonymous()), Arc::new(HeaderMap::new()));
        let request = Request {
            key: &key,
            model: "fast",
            endpoint: Endpoint::Chat,
            stream: false,
            body: Some(&object),
            body_bytes: body.len() as u64,
            headers: &headers,
            unix_ms: 13 * 3_600_000 + 1,
        };
        request.facts()
    }

    #[test]
    fn tokens_are_a_quarter_of_the_prompts_bytes_and_inline_files_a_flat_count() {
        let text = "four words of text, ".repeat(200);
        let plain = facts(&format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"metadata":"{text}"}}"#));
        assert!((1_000..1_020).contains(&plain.input_tokens), "{}", plain.input_tokens);
        let image = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(90_000));
        let file = facts(&format!(r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"{image}"}}}}]}}]}}"#));
        assert!((1_000..1_040).contains(&file.input_tokens), "{}", file.input_tokens);
        let audio = facts(&format!(r#"{{"messages":[{{"content":[{{"input_audio":{{"data":"{}"}}}}]}}]}}"#, "UklGRg\\/A".repeat(9_000)));
        assert!((1_000..1_040).contains(&audio.input_tokens), "{}", audio.input_tokens);
        let chinese = facts(&format!(r#"{{"input":"{}"}}"#, "你好世界".repeat(1_000)));
        assert!((3_000..3_010).contains(&chinese.input_tokens), "{}", chinese.input_tokens);
        assert_eq!(facts(r#"{"input":["abcd","efgh"]}"#).input_tokens, 4);
    }

    #[test]
    fn images_are_seen_in_every_form_and_not_in_text_that_talks_of_them() {
        for image in [
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#,
            r#"{"input":[{"content":[{"type" : "input_image","file_id":"f"}]}]}"#,
            r#"{"messages":[{"content":[{ "image_url" : {"url":"x"}, "type":"image_url"}]}]}"#,
        ] {
            assert!(facts(image).vision, "{image}");
        }
        for text in [
            r#"{"messages":[{"content":"image_url"}]}"#,
            r#"{"messages":[{"content":"say {\"image_url\": 1}"}]}"#,
            r#"{"messages":[{"content":"what is \"input_image\"?"}],"tools":[{"image_url":1}]}"#,
        ] {
            assert!(!facts(text).vision, "{text}");
        }
    }

    #[test]
    fn limits_tools_and_schemas_are_read_from_their_members() {
        let some = facts(r#"{"max_tokens":5,"tools":[{}],"response_format":{"type":"json_schema","json_schema":{}},"messages":[]}"#);
        assert_eq!((some.max_output_tokens, some.tools, some.json_schema, some.hour_utc), (5, true, true, 13));
        let none = facts(r#"{"max_completion_tokens":null,"tools":[ ],"response_format":{"type":"json_object"}}"#);
        assert_eq!((none.max_output_tokens, none.tools, none.json_schema), (0, false, false));
        assert!(facts(r#"{"functions":[{}],"text":{"format":{"type":"json_schema"}}}"#).json_schema);
    }
}
