//! What answers of OpenAI's endpoints that are only relayed say of their cost: pictures, sound, moderation.
//!
//! Rule: what an answer does not say is not made up; a request says what it says itself.

use super::edit::Object;
use super::ir::{Metered, OtherCounts, Usage};
use super::openai_responses;
use super::scan::members;

/// Reads what a whole JSON answer says: tokens, or how long a sound was, and how many pictures there are. Nothing where it is no JSON object.
pub fn metered(body: &[u8]) -> Metered {
    let Ok([usage, data, duration]) = members(body, ["usage", "data", "duration"]) else { return Metered::default() };
    let images = data.map_or(0, pictures);
    let usage = usage.and_then(|raw| tokens(raw).or_else(|| seconds(Object::scan(raw).ok()?.get("seconds")?)));
    let mut usage = usage.or_else(|| seconds(duration?));
    if images > 0 {
        let whole = usage.get_or_insert_default();
        whole.other.images = images;
        whole.other.output_image = u32::try_from(whole.output).unwrap_or(u32::MAX);
    }
    Metered { usage, tier: None }
}

/// Reads what a request says itself: how many pictures it wants made, how many characters spoken.
pub fn asked(path: &str, body: &[u8]) -> Usage {
    let Ok(object) = Object::scan(body) else { return Usage::default() };
    let mut other = OtherCounts::default();
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    match path {
        "/images/generations" => other.images = count(object.integer("n").unwrap_or(1)),
        "/audio/speech" => other.characters = object.string("input").map_or(0, |text| count(text.chars().count() as u64)),
        _ => {}
    }
    Usage { other, ..Usage::default() }
}

fn tokens(raw: &[u8]) -> Option<Usage> {
    let object = Object::scan(raw).ok()?;
    let is_counted = ["input_tokens", "output_tokens"].iter().any(|name| object.integer(name).is_some());
    is_counted.then(|| openai_responses::usage(raw)).flatten()
}

/// Sound by its length, in seconds with any fraction, rounded up to milliseconds.
fn seconds(raw: &[u8]) -> Option<Usage> {
    let text = std::str::from_utf8(raw).ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let thousandths = format!("{:0<3}", part.get(..part.len().min(3))?);
    let rest = part.get(3..).is_some_and(|rest| rest.bytes().any(|byte| byte != b'0'));
    let ms = whole.parse::<u32>().ok()?.checked_mul(1_000)?.checked_add(thousandths.parse().ok()?)?.checked_add(u32::from(rest))?;
    Some(Usage { other: OtherCounts { audio_ms: ms, ..OtherCounts::default() }, ..Usage::default() })
}

/// Counts the elements of a raw array that are pictures: objects with one in base64 or behind an address.
fn pictures(raw: &[u8]) -> u32 {
    let is_of_pictures = ["\"b64_json\"", "\"url\""].map(|name| memchr::memmem::find_iter(raw, name).count());
    u32::try_from(is_of_pictures.into_iter().max().unwrap_or(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_counted_and_their_tokens_are_of_pictures() {
        let body = br#"{"created":1,"data":[{"b64_json":"AA=="},{"b64_json":"BB=="}],"usage":{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
        let usage = metered(body).usage.unwrap();
        assert_eq!((usage.input, usage.input_image, usage.output, usage.other.output_image, usage.other.images), (50, 40, 4160, 4160, 2));
        let plain = metered(br#"{"data":[{"url":"https://x","revised_prompt":"y"}]}"#).usage.unwrap();
        assert_eq!((plain.output, plain.other.images), (0, 1));
    }

    #[test]
    fn sound_is_counted_in_tokens_or_by_its_length() {
        let ms = |body: &str| metered(body.as_bytes()).usage.map(|usage| usage.other.audio_ms);
        assert_eq!(ms(r#"{"text":"hi","usage":{"type":"duration","seconds":3}}"#), Some(3_000));
        assert_eq!(ms(r#"{"text":"hi","duration":2.0400001}"#), Some(2_041));
        assert_eq!(ms(r#"{"text":"hi","duration":"long"}"#), None);
        let tokens = r#"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":45}}"#;
        assert_eq!(metered(tokens.as_bytes()).usage, Some(Usage { input: 14, output: 45, ..Usage::default() }));
        assert_eq!(metered(b"not json").usage, None);
        assert_eq!(metered(br#"{"results":[{"flagged":false}]}"#).usage, None);
    }

    #[test]
    fn a_request_says_what_it_wants_made() {
        assert_eq!(asked("/images/generations", br#"{"n":3}"#).other.images, 3);
        assert_eq!(asked("/images/generations", br#"{}"#).other.images, 1);
        assert_eq!(asked("/audio/speech", r#"{"input":"häl\n"}"#.as_bytes()).other.characters, 4);
        assert_eq!(asked("/moderations", br#"{"input":"x"}"#), Usage::default());
    }
}
