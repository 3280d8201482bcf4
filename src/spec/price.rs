//! Prices as they are written: rates with their units, laid over what the catalogue knows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Rate;
use crate::base::rate::{Call, Character, Hour, Image, Page, Per, Search, Token};

/// Declares the rates once, for what a model costs and for what of it is different in a tier or for long inputs.
macro_rules! rates {
    ($($(#[$doc:meta])* $field:ident: $unit:ty,)*) => {
        /// What a model costs: rates, or `free`, or `as`. Of what has no rate of its own, cached input costs as input, sound and pictures as
        /// text, and reasoning as output.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Price {
            /// Says that it costs nothing; a model without a price is not free but unpriced.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub free: bool,
            /// The catalogue's model whose prices hold, as `vendor/model`: `openai/gpt-4o`. `vendor/*` is the model of the same name there.
            #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
            #[schemars(regex(pattern = "^[^/]+/.+$"), extend("examples" = ["openai/gpt-4o"]))]
            pub same_as: Option<String>,
            /// The first day (UTC) on which it holds, or an exact time. Before that, what the catalogue knows. Default: always.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub from: Option<String>,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<Per<$unit>>,)*
            /// Rates that hold for the whole request where the whole input, cached or not, is longer than so many tokens: `{200k: {input: $6/Mtok}}`.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub above: BTreeMap<String, OtherRates>,
            /// What is different for requests that are answered within a day.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub batch: Option<OtherRates>,
            /// What is different for requests that are answered when there is room.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub flex: Option<OtherRates>,
            /// What is different for requests that are answered before others.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub priority: Option<OtherRates>,
        }

        /// Rates that are different from a model's usual ones.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct OtherRates {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<Per<$unit>>,)*
        }

        impl Price {
            /// Returns the rates that are written, by their names.
            pub fn rates(&self) -> Vec<(&'static str, Rate)> {
                [$((stringify!($field), self.$field.map(Per::rate)),)*].into_iter().filter_map(|(name, rate)| Some((name, rate?))).collect()
            }
        }

        impl OtherRates {
            /// Returns the rates that are written, by their names.
            pub fn rates(&self) -> Vec<(&'static str, Rate)> {
                [$((stringify!($field), self.$field.map(Per::rate)),)*].into_iter().filter_map(|(name, rate)| Some((name, rate?))).collect()
            }
        }
    };
}

rates! {
    /// Input tokens.
    input: Token,
    /// Output tokens.
    output: Token,
    /// Input tokens read from a cache.
    cache_read: Token,
    /// Input tokens written to a cache.
    cache_write: Token,
    /// Input tokens written to a cache for an hour.
    cache_write_1h: Token,
    /// Tokens of sound in the input.
    input_audio: Token,
    /// Tokens of sound read from a cache.
    cache_read_audio: Token,
    /// Tokens of sound in the output.
    output_audio: Token,
    /// Tokens of pictures in the input.
    input_image: Token,
    /// Tokens of pictures read from a cache.
    cache_read_image: Token,
    /// Tokens of pictures in the output.
    output_image: Token,
    /// Tokens of film in the input.
    input_video: Token,
    /// Tokens of film in the output.
    output_video: Token,
    /// Output tokens of reasoning.
    reasoning: Token,
    /// Output tokens of citations.
    citation: Token,
    /// Every request, on top of all else.
    request: Call,
    /// A search of the web.
    web_search: Search,
    /// A search of stored files.
    file_search: Search,
    /// Sound that is paid by time.
    audio: Hour,
    /// Characters of the input, where they are what is paid.
    character: Character,
    /// A picture that is made.
    image: Image,
    /// A page that is read.
    page: Page,
    /// A page that is read and annotated.
    annotated_page: Page,
}

/// Reads a number of tokens: `200000`, `200k`, `1M`. None where it is not that, or 0.
pub fn tokens(text: &str) -> Option<u64> {
    let (digits, scale) = match (text.strip_suffix('k'), text.strip_suffix('M')) {
        (Some(digits), _) => (digits, 1_000),
        (None, Some(digits)) => (digits, 1_000_000),
        (None, None) => (text, 1),
    };
    let is_number = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|count| is_number && *count > 0)?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_tokens_is_read_with_its_letter() {
        assert_eq!(["200000", "200k", "1M"].map(tokens), [Some(200_000), Some(200_000), Some(1_000_000)]);
        assert_eq!(["", "0", "k", "200K", "-1", "1.5k", "9999999999"].map(tokens), [None; 7]);
    }
}
