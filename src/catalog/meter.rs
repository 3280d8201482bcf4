//! What is counted and paid for. Closed: a price that counts something else is not read, and its model stays unpriced.

use crate::base::Rate;
use crate::base::rate::{Units, written};

macro_rules! meters {
    ($($(#[$doc:meta])* $variant:ident $name:literal $title:literal $units:ident $unit:literal)*) => {
        /// Something that is counted and has a rate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Meter {
            $($(#[$doc])* $variant,)*
        }

        impl Meter {
            /// Every meter, in the order in which rates are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns its name in the catalogue and in the spec.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns its name in a table.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Returns how many units its rates are stated for.
            pub const fn units(self) -> Units {
                match self { $(Self::$variant => Units::$units,)* }
            }

            /// Returns the unit of its rates, as it is written behind the slash.
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit,)* }
            }
        }
    };
}

meters! {
    /// Input tokens that are nothing else.
    Input "input" "input" Million "Mtok"
    /// Output tokens that are nothing else.
    Output "output" "output" Million "Mtok"
    /// Input tokens read from a cache.
    CacheRead "cache_read" "cache read" Million "Mtok"
    /// Input tokens written to a cache, for five minutes or as long as the provider likes.
    CacheWrite "cache_write" "cache write" Million "Mtok"
    /// Input tokens written to a cache for an hour.
    CacheWrite1h "cache_write_1h" "cache write (1 h)" Million "Mtok"
    /// Tokens of sound in the input.
    InputAudio "input_audio" "audio input" Million "Mtok"
    /// Tokens of sound read from a cache.
    CacheReadAudio "cache_read_audio" "audio cache read" Million "Mtok"
    /// Tokens of sound in the output.
    OutputAudio "output_audio" "audio output" Million "Mtok"
    /// Tokens of pictures in the input.
    InputImage "input_image" "image input" Million "Mtok"
    /// Tokens of pictures read from a cache.
    CacheReadImage "cache_read_image" "image cache read" Million "Mtok"
    /// Tokens of pictures in the output.
    OutputImage "output_image" "image output" Million "Mtok"
    /// Tokens of film in the input.
    InputVideo "input_video" "video input" Million "Mtok"
    /// Tokens of film in the output.
    OutputVideo "output_video" "video output" Million "Mtok"
    /// Output tokens of reasoning.
    Reasoning "reasoning" "reasoning" Million "Mtok"
    /// Output tokens of citations.
    Citation "citation" "citations" Million "Mtok"
    /// The request itself.
    Request "request" "request" One "request"
    /// A search of the web.
    WebSearch "web_search" "web search" One "search"
    /// A search of stored files.
    FileSearch "file_search" "file search" One "search"
    /// An hour of sound.
    Audio "audio" "audio" One "hour"
    /// Characters of the input.
    Character "character" "characters" Million "Mchar"
    /// A picture that was made.
    Image "image" "image" One "image"
    /// A page that was read.
    Page "page" "page" One "page"
    /// A page that was read and annotated.
    AnnotatedPage "annotated_page" "annotated page" One "page"
}

impl Meter {
    /// Returns the meter of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|meter| meter.name() == name)
    }

    /// Returns whether it counts tokens.
    pub const fn is_of_tokens(self) -> bool {
        (self as usize) < (Self::Request as usize)
    }

    /// Writes one of its rates as the spec does: `$0.10/Mtok`.
    pub fn written(self, rate: Rate) -> String {
        written(rate, self.units(), self.unit())
    }
}

/// Rates by meter; what has none is priced as what it is a kind of, see [`super::RateCard::cost`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rates([Option<Rate>; Meter::ALL.len()]);

impl Rates {
    /// Returns the rate of a meter.
    pub fn get(&self, meter: Meter) -> Option<Rate> {
        self.0.get(meter as usize).copied().flatten()
    }

    /// Sets the rate of a meter.
    pub fn set(&mut self, meter: Meter, rate: Rate) {
        if let Some(slot) = self.0.get_mut(meter as usize) {
            *slot = Some(rate);
        }
    }

    /// Returns the meters that have a rate, with it.
    pub fn iter(&self) -> impl Iterator<Item = (Meter, Rate)> + '_ {
        Meter::ALL.iter().filter_map(|meter| Some((*meter, self.get(*meter)?)))
    }

    /// Returns whether no meter has a rate.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns these rates with those of tokens at so many hundredths, rounded up to a pico-USD.
    pub(super) fn scaled(&self, percent: u64) -> Self {
        let mut scaled = self.clone();
        for (meter, rate) in self.iter().filter(|(meter, _)| meter.is_of_tokens()) {
            let pico = u128::from(rate.pico()).saturating_mul(u128::from(percent)).div_ceil(100);
            scaled.set(meter, Rate::from_pico(u64::try_from(pico).unwrap_or(u64::MAX)));
        }
        scaled
    }

    /// Returns the first of the meters that has a rate, as pico-USD; 0 where none has.
    pub(super) fn first(&self, meters: &[Meter]) -> u128 {
        meters.iter().find_map(|meter| self.get(*meter)).map_or(0, |rate| u128::from(rate.pico()))
    }

    /// Returns the dearest of the meters, as pico-USD; 0 where none has a rate.
    pub(super) fn dearest(&self, meters: &[Meter]) -> u128 {
        meters.iter().filter_map(|meter| self.get(*meter)).map(|rate| u128::from(rate.pico())).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meter_is_found_by_its_name_and_keeps_its_own_rate() {
        let mut rates = Rates::default();
        assert!(rates.is_empty());
        for (index, meter) in Meter::ALL.iter().enumerate() {
            assert_eq!(Meter::by_name(meter.name()), Some(*meter));
            assert_eq!(*meter as usize, index);
            rates.set(*meter, Rate::from_pico(index as u64));
        }
        assert!(rates.iter().enumerate().all(|(index, (_, rate))| rate.pico() == index as u64));
        assert_eq!(Meter::by_name("inputs"), None);
    }
}
