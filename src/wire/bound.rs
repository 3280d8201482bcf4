//! The most that a request can use, read from the body as it is sent: what a strict budget reserves. Pure, and one or two walks over the bytes.
//!
//! Not an estimate ([`super::estimate`]): no token is shorter than a byte, so the bytes are the bound, however far above the truth.

use super::Format;
use super::edit::Object;
use super::scan::members;

/// The most that a request can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Input tokens; none where the request leans on something that the provider keeps (files, earlier answers).
    pub input: Option<u64>,
    /// Output tokens of one answer, as the request limits them; none where it does not.
    pub output: Option<u64>,
    /// How many answers are asked for.
    pub choices: u64,
}

/// What a template adds to the text.
const TEMPLATE: u64 = 64;
/// What a provider tells its model of tools.
const TOOLS: u64 = 2_048;
/// Tokens of the dearest picture: one in full size, for a model that counts it as dozens of tiles.
const IMAGE: u64 = 50_000;
/// Strings from this length on may be pictures in base64.
const MEDIA: usize = 1_024;

/// Reads the bound of a request to a model, in the format in which it is sent. A body that is no JSON object has no bound.
pub fn of(format: Format, body: &[u8]) -> Bound {
    let (output, choices) = match format {
        Format::OpenaiChat => {
            let [modern, old, n, best_of] = read(body, ["max_completion_tokens", "max_tokens", "n", "best_of"]);
            (modern.max(old), n.max(best_of))
        }
        Format::OpenaiResponses => (read(body, ["max_output_tokens"])[0], None),
        Format::Anthropic | Format::Cohere => (read(body, ["max_tokens"])[0], None),
        Format::Gemini => within(body, ["generationConfig", "generation_config"], |config| {
            let either = |camel, snake| config.integer(camel).or_else(|| config.integer(snake));
            (either("maxOutputTokens", "max_output_tokens"), either("candidateCount", "candidate_count"))
        }),
        Format::Bedrock => within(body, ["inferenceConfig"], |config| (config.integer("maxTokens"), None)),
        Format::Ollama => within(body, ["options"], |options| (options.integer("num_predict"), None)),
    };
    Bound { input: input(body), output, choices: choices.unwrap_or(1).max(1) }
}

/// Returns the bound of a body's input alone.
pub fn input(body: &[u8]) -> Option<u64> {
    let holds = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
    if KEPT_ELSEWHERE.iter().any(|marker| holds(marker)) {
        return None;
    }
    let tools = if holds("\"tools\"") || holds("\"toolConfig\"") { TOOLS } else { 0 };
    let (bytes, pictures) = match holds("\"image") || holds("image/") {
        false => (body.len() as u64, 0),
        true => {
            let is_mixed = NO_PICTURES.iter().any(|marker| holds(marker));
            let spared = if is_mixed { 0 } else { media(body) };
            let named: usize = PICTURES.iter().map(|marker| memchr::memmem::find_iter(body, marker).count()).sum();
            (body.len() as u64 - spared, named as u64 * IMAGE)
        }
    };
    Some(bytes.saturating_add(pictures).saturating_add(TEMPLATE + tools))
}

/// What says that part of the prompt is not in the body.
const KEPT_ELSEWHERE: [&str; 9] = [
    "\"file_id\"",
    "\"fileUri\"",
    "\"file_uri\"",
    "\"file_url\"",
    "\"previous_response_id\":\"",
    "\"conversation\":",
    "\"cachedContent\":\"",
    "\"cached_content\":\"",
    "\"s3Location\"",
];

/// What says that long strings may be something else than pictures.
const NO_PICTURES: [&str; 6] = ["application/pdf", "\"input_audio\"", "\"audio", "audio/", "video/", "\"document"];

/// Members that hold one picture each.
const PICTURES: [&str; 6] = ["\"image_url\":", "\"source\":", "\"inlineData\":", "\"inline_data\":", "\"images\":", "\"image\":"];

/// Returns how many bytes are base64 of pictures, which count by the picture.
fn media(body: &[u8]) -> u64 {
    let mut bytes = 0;
    let mut from = 0;
    for quote in memchr::memchr_iter(b'"', body) {
        let text = body.get(from..quote).unwrap_or_default();
        from = quote + 1;
        if text.len() >= MEDIA {
            let data = memchr::memmem::find(text.get(..64).unwrap_or_default(), b";base64,").map_or(0, |at| at + 8);
            let data = text.get(data..).unwrap_or_default();
            let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
            bytes += if data.iter().all(is_base64) { data.len() as u64 } else { 0 };
        }
    }
    bytes
}

fn read<const N: usize>(body: &[u8], names: [&str; N]) -> [Option<u64>; N] {
    let raw = members(body, names).unwrap_or([None; N]);
    raw.map(|raw| std::str::from_utf8(raw?).ok()?.parse().ok())
}

fn within<const N: usize>(
    body: &[u8],
    names: [&str; N],
    limits: impl Fn(&Object<'_>) -> (Option<u64>, Option<u64>),
) -> (Option<u64>, Option<u64>) {
    let found = members(body, names).unwrap_or([None; N]);
    let config = found.into_iter().flatten().find_map(|raw| Object::scan(raw).ok());
    config.map_or((None, None), |config| limits(&config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_in_each_formats_words() {
        for (format, body, output, choices) in [
            (Format::OpenaiChat, r#"{"max_tokens":10,"max_completion_tokens":20,"n":3}"#, Some(20), 3),
            (Format::OpenaiChat, r#"{"messages":[{"max_tokens":10}]}"#, None, 1),
            (Format::OpenaiResponses, r#"{"max_output_tokens":7}"#, Some(7), 1),
            (Format::Anthropic, r#"{"max_tokens":8}"#, Some(8), 1),
            (Format::Gemini, r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}"#, Some(9), 2),
            (Format::Gemini, r#"{"generation_config":{"max_output_tokens":9}}"#, Some(9), 1),
            (Format::Bedrock, r#"{"inferenceConfig":{"maxTokens":6}}"#, Some(6), 1),
            (Format::Cohere, r#"{"max_tokens":5}"#, Some(5), 1),
            (Format::Ollama, r#"{"options":{"num_predict":4}}"#, Some(4), 1),
            (Format::Ollama, r#"{"options":{"num_predict":-1}}"#, None, 1),
            (Format::OpenaiChat, r#"{"max_tokens":1e3}"#, None, 1),
        ] {
            let bound = of(format, body.as_bytes());
            assert_eq!((bound.output, bound.choices), (output, choices), "{format:?} {body}");
        }
    }

    #[test]
    fn a_token_is_no_shorter_than_a_byte_and_a_picture_is_no_text() {
        let body = format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "a".repeat(10_000));
        assert!(input(body.as_bytes()).unwrap() >= 10_000);
        let picture = format!(
            r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
            "A".repeat(4_000_000)
        );
        let bound = input(picture.as_bytes()).unwrap();
        assert!((IMAGE..2 * IMAGE).contains(&bound), "{bound}");
        let sound = picture.replace("image/png", "audio/wav");
        assert!(input(sound.as_bytes()).unwrap() >= 4_000_000);
    }

    #[test]
    fn what_the_provider_keeps_has_no_bound() {
        for body in [r#"{"previous_response_id":"resp_1"}"#, r#"{"content":[{"file_id":"f"}]}"#, r#"{"cachedContent":"c"}"#] {
            assert_eq!(input(body.as_bytes()), None, "{body}");
        }
        assert!(input(br#"{"previous_response_id":null}"#).is_some());
    }
}
