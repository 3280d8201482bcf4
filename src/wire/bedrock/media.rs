//! The words that the format has for types of media.

use crate::wire::json::Text;

/// One kind of block with bytes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Document,
    Video,
    Audio,
}

const IMAGES: &[(&str, &str)] =
    &[("png", "image/png"), ("jpeg", "image/jpeg"), ("jpeg", "image/jpg"), ("gif", "image/gif"), ("webp", "image/webp")];

const DOCUMENTS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

const VIDEOS: &[(&str, &str)] = &[
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("mkv", "video/x-matroska"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("wmv", "video/x-ms-wmv"),
    ("three_gp", "video/3gpp"),
];

const AUDIOS: &[(&str, &str)] = &[
    ("mp3", "audio/mpeg"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("opus", "audio/opus"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("m4a", "audio/mp4"),
    ("webm", "audio/webm"),
];

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 4] = [Self::Image, Self::Document, Self::Video, Self::Audio];

    /// Returns the block's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    const fn table(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Image => IMAGES,
            Self::Document => DOCUMENTS,
            Self::Video => VIDEOS,
            Self::Audio => AUDIOS,
        }
    }

    /// Returns the media type that a word of the format stands for; `image/WORD` and the like for one that is not known.
    pub(super) fn media_type<'w>(self, format: Text<'w>) -> Text<'w> {
        match self.table().iter().find(|(word, _)| *word == format) {
            Some((_, media_type)) => Text::Borrowed(media_type),
            None if self == Self::Document => Text::Owned(format!("application/{format}")),
            None => Text::Owned(format!("{}/{format}", self.name())),
        }
    }

    /// Returns the format's word for a media type; parameters do not count.
    pub(super) fn format(self, media_type: &str) -> Option<&'static str> {
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        self.table().iter().find(|(_, known)| known.eq_ignore_ascii_case(bare)).map(|(word, _)| *word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_format_comes_back() {
        for kind in Kind::ALL {
            for (word, media_type) in kind.table() {
                assert_eq!(kind.format(&kind.media_type(Text::Borrowed(word))), Some(*word));
                assert_eq!(kind.format(media_type), Some(*word));
            }
        }
        assert_eq!(Kind::Document.format("text/plain; charset=utf-8"), Some("txt"));
        assert_eq!((Kind::Image.format("image/bmp"), Kind::Image.media_type("bmp".into())), (None, "image/bmp".into()));
    }
}
