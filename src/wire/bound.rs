//! The most that a request can use, read from the body as it is sent: what a strict budget reserves. Pure, and one or two walks over the bytes.
//!
//! Not an estimate ([`super::estimate`]): no token is shorter than a byte, so the bytes are the bound, however far above the truth.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

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
    /// A tool may be asked for that is paid by the search.
    pub searches: bool,
}

/// What a template adds to the text.
const TEMPLATE: u64 = 64;
/// What a provider tells its model of tools.
const TOOLS: u64 = 2_048;
/// Tokens of the dearest picture: one in full size, for a model that counts it as dozens of tiles.
const IMAGE: u64 = 50_000;
/// Strings from this length on may be pictures in base64.
const MEDIA: usize = 1_024;

/// Reads the bound of a request to a model, in the format in which it is sent, from the body as [`unmasked`] gives it. A body that is no JSON
/// object has no bound.
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
    Bound { output, choices: choices.unwrap_or(1).max(1), ..input(body) }
}

/// Returns a body with its letters as letters. No serialiser writes them as escapes, so whoever does wants a name to be overlooked.
pub fn unmasked(body: &[u8]) -> Cow<'_, [u8]> {
    static ESCAPE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(br"\u00"));
    let mut plain = Vec::new();
    let mut rest = 0;
    for at in ESCAPE.find_iter(body) {
        let backslashes = body.get(rest..at).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
        let digits = body.get(at + 4..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        let letter = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|it| it.is_ascii_alphanumeric() || *it == b'_');
        // One that is escaped itself is text.
        if let (Some(letter), true) = (letter, backslashes.is_multiple_of(2)) {
            plain.extend_from_slice(body.get(rest..at).unwrap_or_default());
            plain.push(letter);
            rest = at + 6;
        }
    }
    if rest == 0 {
        return Cow::Borrowed(body);
    }
    plain.extend_from_slice(body.get(rest..).unwrap_or_default());
    Cow::Owned(plain)
}

/// Reads the bound of a request that is answered with nothing that counts; the body as [`unmasked`] gives it.
pub fn input(body: &[u8]) -> Bound {
    let holds = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    // Most are text and nothing else, which one look tells.
    let is_plain = SPECIAL.as_ref().is_some_and(|special| !special.is_match(body));
    let searches = !is_plain && holds("\"tools\"") && holds("search");
    let input = if is_plain { Some(body.len() as u64 + TEMPLATE) } else { special(body, holds) };
    Bound { input, output: Some(0), choices: 1, searches }
}

/// Returns the most input tokens of a body that holds more than text.
fn special(body: &[u8], holds: impl Fn(&str) -> bool) -> Option<u64> {
    if KEPT_ELSEWHERE.iter().any(|marker| holds(marker)) {
        return None;
    }
    let tools = if TOOL_MARKERS.iter().any(|marker| holds(marker)) { TOOLS } else { 0 };
    let (bytes, pictures) = match PICTURE_MARKERS.iter().any(|marker| holds(marker)) {
        false => (body.len() as u64, 0),
        true => {
            let is_mixed = NO_PICTURES.iter().any(|marker| holds(marker));
            let spared = if is_mixed { 0 } else { media(body) };
            let named: usize = PICTURES.iter().map(|marker| memmem::find_iter(body, marker).count()).sum();
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

/// What says that there are tools, and that there are pictures.
const TOOL_MARKERS: [&str; 2] = ["\"tools\"", "\"toolConfig\""];
const PICTURE_MARKERS: [&str; 2] = ["\"image", "image/"];

/// Finds whatever keeps a body from being text and nothing else.
static SPECIAL: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(KEPT_ELSEWHERE.iter().chain(&TOOL_MARKERS).chain(&PICTURE_MARKERS)).ok());

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
            let data = memmem::find(text.get(..64).unwrap_or_default(), b";base64,").map_or(0, |at| at + 8);
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
            assert!(!bound.searches);
            assert_eq!((bound.output, bound.choices), (output, choices), "{format:?} {body}");
        }
    }

    #[test]
    fn a_token_is_no_shorter_than_a_byte_and_a_picture_is_no_text() {
        let body = format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "a".repeat(10_000));
        assert!(input(body.as_bytes()).input.unwrap() >= 10_000);
        let picture = format!(
            r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
            "A".repeat(4_000_000)
        );
        let bound = input(picture.as_bytes()).input.unwrap();
        assert!((IMAGE..2 * IMAGE).contains(&bound), "{bound}");
        let sound = picture.replace("image/png", "audio/wav");
        assert!(input(sound.as_bytes()).input.unwrap() >= 4_000_000);
    }

    #[test]
    fn a_name_that_is_masked_by_escapes_is_read_all_the_same() {
        for (body, bound) in [
            (r#"{"max_tokens":1,"max\u005ftokens":900}"#, Some((900, true))),
            (r#"{"\u006dax_tokens":900,"a":"\\\\\u0041"}"#, Some((900, true))),
            (r#"{"max_tokens":900,"previous_response_\u0069d":"r"}"#, Some((900, false))),
            // Text that speaks of escapes, and what serialisers escape, is left alone.
            (r#"{"max_tokens":900,"a":"\\u0061 \u003cb\u003e \u00e9 \u00"}"#, Some((900, true))),
        ] {
            let read = of(Format::OpenaiChat, &unmasked(body.as_bytes()));
            assert_eq!(read.output.map(|output| (output, read.input.is_some())), bound, "{body}");
        }
        let text = br#"{"a":"\\u0061"}"#;
        assert_eq!(&*unmasked(text), text);
        assert_eq!(&*unmasked(br#"{"a":"\\\u0061"}"#), br#"{"a":"\\a"}"#);
        assert!(input(&unmasked(br#"{"t\u006fols":[{"type":"web_se\u0061rch"}]}"#)).searches);
    }

    #[test]
    fn what_the_provider_keeps_has_no_bound() {
        for body in [r#"{"previous_response_id":"resp_1"}"#, r#"{"content":[{"file_id":"f"}]}"#, r#"{"cachedContent":"c"}"#] {
            assert_eq!(input(body.as_bytes()).input, None, "{body}");
        }
        let of_tools = |text: &str| input(format!(r#"{{"tools":[{{"type":"{text}"}}]}}"#).as_bytes());
        assert!(of_tools("web_search").searches && !of_tools("function").searches);
        assert!(of_tools("function").input.unwrap() > TOOLS, "what is told of tools counts");
        assert!(input(br#"{"previous_response_id":null}"#).input.is_some());
    }
}
