//! Bytes in messages, and the two alphabets of base64 that they come in.

use crate::wire::ir::{Content, Media};
use crate::wire::json::Text;

/// Writes base64 in the common alphabet, with its padding: Google's own SDK sends the other one, which no other provider reads.
pub(super) fn standard(data: Text<'_>) -> Text<'_> {
    let is_standard = memchr::memchr2(b'-', b'_', data.as_bytes()).is_none() && data.len().is_multiple_of(4);
    if is_standard {
        return data;
    }
    let mut text = data.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    Text::Owned(text)
}

/// Writes base64 in the alphabet of URLs.
pub(super) fn url_safe(data: &str) -> Text<'_> {
    if memchr::memchr2(b'+', b'/', data.as_bytes()).is_none() {
        return Text::Borrowed(data);
    }
    Text::Owned(data.replace('+', "-").replace('/', "_"))
}

/// Makes the content that media of a type are.
pub(super) fn content<'a>(media_type: &str, media: Media<'a>) -> Content<'a> {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => Content::Image { media, detail: None },
        "audio" => Content::Audio { media },
        "video" => Content::Video { media },
        _ => Content::Document { media, title: None, context: None, citations: None },
    }
}

/// What the end of a URL says about its type.
const ENDINGS: [(&str, &str); 21] = [
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".gif", "image/gif"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
    (".avif", "image/avif"),
    (".bmp", "image/bmp"),
    (".mp3", "audio/mpeg"),
    (".wav", "audio/wav"),
    (".ogg", "audio/ogg"),
    (".flac", "audio/flac"),
    (".m4a", "audio/mp4"),
    (".mp4", "video/mp4"),
    (".mov", "video/quicktime"),
    (".webm", "video/webm"),
    (".pdf", "application/pdf"),
    (".txt", "text/plain"),
    (".html", "text/html"),
    (".csv", "text/csv"),
];

/// Returns the type of what stands at a URL, by its ending; `instead` where that says nothing.
pub(super) fn type_of_url<'t>(url: &str, instead: &'t str) -> &'t str {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    ENDINGS.into_iter().find(|(ending, _)| path.ends_with(ending)).map_or(instead, |(_, media_type)| media_type)
}

/// Returns whether a URI names something that was uploaded to Google, which nobody else can fetch.
pub(super) fn is_upload(uri: &str) -> bool {
    uri.starts_with("gs://") || !uri.contains("://") || uri.starts_with("https://generativelanguage.googleapis.com/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_told_in_the_common_alphabet() {
        for (from, to) in [("AAAA", "AAAA"), ("-_-_", "+/+/"), ("-_A", "+/A="), ("", "")] {
            assert_eq!(standard(from.into()), to);
        }
        assert_eq!(url_safe("+/A="), "-_A=");
    }

    #[test]
    fn the_type_of_a_url_is_guessed_by_its_ending_alone() {
        assert_eq!(type_of_url("https://a/b.PNG?x=.pdf", "x/y"), "image/png");
        assert_eq!(type_of_url("https://a/b", "x/y"), "x/y");
    }

    #[test]
    fn uploads_are_told_from_pages() {
        for (uri, expected) in [
            ("gs://b/o", true),
            ("https://generativelanguage.googleapis.com/v1beta/files/x", true),
            ("files/x", true),
            ("https://www.youtube.com/watch?v=1", false),
        ] {
            assert_eq!(is_upload(uri), expected, "{uri}");
        }
    }
}
