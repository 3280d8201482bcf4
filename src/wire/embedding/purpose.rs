//! What vectors are for, in the words of the formats. Gemini's words are the hub, for it has the most.

use crate::wire::json::Text;

/// The words: Gemini's, Cohere's, and what else servers call it.
const WORDS: [(&str, &str, &str); 4] = [
    ("RETRIEVAL_QUERY", "search_query", "query"),
    ("RETRIEVAL_DOCUMENT", "search_document", "document"),
    ("CLASSIFICATION", "classification", ""),
    ("CLUSTERING", "clustering", ""),
];

/// Returns Gemini's word for another format's; the word itself, where there is none.
pub(super) fn of(word: Text<'_>) -> Text<'_> {
    let found = WORDS.iter().find(|(_, cohere, other)| *word == **cohere || (*word == **other && !other.is_empty()));
    match found {
        Some((gemini, ..)) => Text::Borrowed(gemini),
        None if word == "passage" => Text::Borrowed("RETRIEVAL_DOCUMENT"),
        None => word,
    }
}

/// Returns Cohere's word for Gemini's, where it has one.
pub(super) fn in_cohere(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|(gemini, ..)| *gemini == word).map(|(_, cohere, _)| *cohere)
}
