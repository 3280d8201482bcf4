//! What answers of OpenAI's endpoints that are only relayed say of their cost: pictures, sound, moderation.
//!
//! Rule: what an answer does not say is not made up; a request says what it says itself.

use bytes::Bytes;

use super::edit::Object;
use super::frame::{self, Sse};
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

/// Listens to the events of a stream that is only relayed, for what they say of its cost: pictures as they are made, speech, transcripts.
///
/// It never stands in the way of what passes: of a stream that it cannot follow it says what it has heard so far.
#[derive(Debug, Default)]
pub struct Listener {
    sse: Sse,
    said: Option<Usage>,
    is_lost: bool,
}

impl Listener {
    /// Hears a piece of the stream. Says whether something new is known of the cost.
    pub fn push(&mut self, piece: Bytes) -> bool {
        if self.is_lost {
            return false;
        }
        if self.sse.push(piece).is_err() {
            (self.is_lost, self.sse) = (true, Sse::default());
            return false;
        }
        let mut is_new = false;
        while let Some(event) = self.sse.next_event() {
            let mut data: &[u8] = &[];
            frame::fields(&event, |line| data = line);
            let Some(usage) = said(data) else { continue };
            // Each picture has an event of its own with a usage of its own.
            let whole = self.said.get_or_insert_default();
            *whole = sum(whole, &usage);
            is_new = true;
        }
        is_new
    }

    /// Returns what was said of the cost so far.
    pub const fn metered(&self) -> Metered {
        Metered { usage: self.said, tier: None }
    }
}

/// Reads what the last event of a picture, of speech or of a transcript says: `image_generation.completed`, `image_edit.completed`,
/// `speech.audio.done`, `transcript.text.done`.
fn said(data: &[u8]) -> Option<Usage> {
    let Ok([kind, usage]) = members(data, ["type", "usage"]) else { return None };
    let is = |word: &[u8]| kind.is_some_and(|kind| kind.starts_with(word));
    let mut usage = usage.and_then(|raw| tokens(raw).or_else(|| seconds(Object::scan(raw).ok()?.get("seconds")?)));
    if is(b"\"image_") && is_completed(kind) {
        let whole = usage.get_or_insert_default();
        whole.other.images = 1;
        whole.other.output_image = u32::try_from(whole.output).unwrap_or(u32::MAX);
    }
    if let Some(whole) = usage.as_mut().filter(|_| is(b"\"speech.")) {
        whole.output_audio = whole.output;
    }
    usage
}

fn is_completed(kind: Option<&[u8]>) -> bool {
    kind.is_some_and(|kind| kind.ends_with(b".completed\""))
}

/// Adds up what several answers in one stream used, as far as such streams say it.
fn sum(one: &Usage, other: &Usage) -> Usage {
    let small = |a: u32, b: u32| a.saturating_add(b);
    Usage {
        input: one.input.saturating_add(other.input),
        cache_read: one.cache_read.saturating_add(other.cache_read),
        cache_write: one.cache_write.saturating_add(other.cache_write),
        cache_write_1h: one.cache_write_1h.saturating_add(other.cache_write_1h),
        output: one.output.saturating_add(other.output),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        input_audio: one.input_audio.saturating_add(other.input_audio),
        input_image: one.input_image.saturating_add(other.input_image),
        output_audio: one.output_audio.saturating_add(other.output_audio),
        other: OtherCounts {
            images: small(one.other.images, other.other.images),
            output_image: small(one.other.output_image, other.other.output_image),
            audio_ms: small(one.other.audio_ms, other.other.audio_ms),
            ..OtherCounts::default()
        },
    }
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

    fn heard(stream: &str, piece: usize) -> (Option<Usage>, usize) {
        let mut listener = Listener::default();
        let news = stream.as_bytes().chunks(piece).filter(|piece| listener.push(Bytes::copy_from_slice(piece))).count();
        (listener.metered().usage, news)
    }

    #[test]
    fn the_last_event_of_a_transcript_says_its_tokens_or_its_length() {
        // As OpenAI's gpt-4o-transcribe-diarize sends it.
        let tokens = concat!(
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\n",
            "data: {\"type\":\"transcript.text.done\",\"text\":\"Hi\",\"usage\":{\"type\":\"tokens\",\"total_tokens\":182,",
            "\"input_tokens\":37,\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":37},\"output_tokens\":145}}\n\ndata: [DONE]\n\n",
        );
        for piece in [1, 7, tokens.len()] {
            let usage = Usage { input: 37, input_audio: 37, output: 145, ..Usage::default() };
            assert_eq!(heard(tokens, piece), (Some(usage), 1));
        }
        let length = "event: x\r\ndata: {\"type\":\"transcript.text.done\",\"usage\":{\"type\":\"duration\",\"seconds\":9}}\r\n\r\n";
        assert_eq!(heard(length, 5).0.unwrap().other.audio_ms, 9_000);
        assert_eq!(heard(&tokens[..80], 9), (None, 0));
    }

    #[test]
    fn speech_and_pictures_say_what_they_cost_at_their_ends() {
        let speech = concat!(
            "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n",
            "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n",
        );
        assert_eq!(heard(speech, 11).0, Some(Usage { input: 14, output: 101, output_audio: 101, ..Usage::default() }));
        let usage =
            "\"usage\":{\"input_tokens\":50,\"output_tokens\":4000,\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40}}";
        let pictures = format!(
            "event: image_generation.partial_image\ndata: {{\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}}\n\n\
             data: {{\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",{usage}}}\n\n\
             data: {{\"type\":\"image_edit.completed\",\"b64_json\":\"AA\",{usage}}}\n\n"
        );
        let (usage, news) = heard(&pictures, 64);
        let usage = usage.unwrap();
        assert_eq!(
            (usage.input, usage.input_image, usage.output, usage.other.output_image, usage.other.images),
            (100, 80, 8_000, 8_000, 2)
        );
        assert_eq!(news, 2);
    }

    #[test]
    fn a_stream_that_cannot_be_followed_is_let_go_with_what_was_said() {
        let mut listener = Listener::default();
        assert!(!listener.push(Bytes::from_static(b"data: not json\n\ndata: [1]\n\n")));
        assert!(listener.push(Bytes::from_static(b"data: {\"type\":\"x\",\"usage\":{\"input_tokens\":3}}\n\n")));
        let piece = Bytes::from(vec![b'a'; 9 << 20]);
        assert!((0..4).all(|_| !listener.push(piece.clone())));
        assert_eq!(listener.metered().usage.map(|usage| usage.input), Some(3));
        assert_eq!(listener.sse.rest().len(), 0, "nothing is kept of it");
    }

    #[test]
    fn a_request_says_what_it_wants_made() {
        assert_eq!(asked("/images/generations", br#"{"n":3}"#).other.images, 3);
        assert_eq!(asked("/images/generations", br#"{}"#).other.images, 1);
        assert_eq!(asked("/audio/speech", r#"{"input":"häl\n"}"#.as_bytes()).other.characters, 4);
        assert_eq!(asked("/moderations", br#"{"input":"x"}"#), Usage::default());
    }
}
