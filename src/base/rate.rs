//! Prices per unit: what one token, one request or one hour of sound costs. Never floats.
//!
//! Not a sum of money, which is [`super::Usd`]. Rule: a rate of the spec is written with its unit, and each kind of unit has one
//! spelling, so that two rates can be compared by eye.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A price of one unit in pico-USD (a millionth of a millionth of a dollar), so that every published price of a token is a whole number:
/// $0.0375 for a million tokens is 37,500. An hour is the unit of sound; of everything else, one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Rate(u64);

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Makes a rate from pico-USD per unit.
    pub const fn from_pico(pico: u64) -> Self {
        Self(pico)
    }

    /// Returns pico-USD per unit.
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// Reads a decimal number of dollars per `units` units: `3`, `0.0375`, without a sign or an exponent. None where it is not that, has more
    /// than six digits before the point, or is finer than a pico-USD per unit.
    pub fn parse(dollars: &str, units: Units) -> Option<Self> {
        let (whole, part) = dollars.split_once('.').map_or((dollars, None), |(whole, part)| (whole, Some(part)));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || whole.len() > WHOLE_DIGITS || part.is_some_and(|part| !is_digits(part)) {
            return None;
        }
        let part = part.unwrap_or_default().trim_end_matches('0');
        let missing = units.places().checked_sub(u32::try_from(part.len()).ok()?)?;
        let fraction = if part.is_empty() { 0 } else { part.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(missing)?)? };
        let scale = 10_u64.checked_pow(units.places())?;
        whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction).map(Self)
    }

    /// Returns the dollars per `units` units as a decimal number: what [`Rate::parse`] reads.
    pub fn dollars(self, units: Units) -> String {
        let places = units.places();
        let scale = 10_u64.pow(places);
        let (whole, rest) = (self.0 / scale, self.0 % scale);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = format!("{rest:0width$}", width = usize::try_from(places).unwrap_or_default());
        format!("{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Digits that a price may have before its point.
const WHOLE_DIGITS: usize = 6;

/// How many units a price is stated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// One.
    One,
    /// A million.
    Million,
}

impl Units {
    /// Decimal places of the stated dollars that make one pico-USD per unit.
    const fn places(self) -> u32 {
        match self {
            Self::One => 12,
            Self::Million => 6,
        }
    }
}

/// What a rate is for, and how that is written.
pub trait Unit {
    /// Behind the slash: `Mtok`.
    const NAME: &'static str;
    /// How many units the name stands for.
    const UNITS: Units;
    /// The type's name in the schema.
    const SCHEMA: &'static str;
    /// An example, for errors and the schema.
    const EXAMPLE: &'static str;
}

macro_rules! units {
    ($($(#[$doc:meta])* $type:ident $name:literal $units:ident $schema:literal $example:literal)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type;

        impl Unit for $type {
            const NAME: &'static str = $name;
            const UNITS: Units = Units::$units;
            const SCHEMA: &'static str = $schema;
            const EXAMPLE: &'static str = $example;
        }
    )*};
}

units! {
    /// A token; priced by the million.
    Token "Mtok" Million "TokenRate" "$0.10/Mtok"
    /// A character; priced by the million.
    Character "Mchar" Million "CharacterRate" "$15/Mchar"
    /// An answer, whatever it holds.
    Call "request" One "RequestRate" "$0.02/request"
    /// A search of the web or of files.
    Search "search" One "SearchRate" "$0.01/search"
    /// A picture that was made.
    Image "image" One "ImageRate" "$0.04/image"
    /// A page that was read.
    Page "page" One "PageRate" "$0.001/page"
    /// An hour of sound.
    Hour "hour" One "HourRate" "$0.36/hour"
}

/// A rate as the spec writes it: `$0.10/Mtok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Per<U> {
    rate: Rate,
    unit: PhantomData<U>,
}

impl<U> Per<U> {
    /// Makes one of a rate.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, unit: PhantomData }
    }

    /// Returns the rate.
    pub const fn rate(self) -> Rate {
        self.rate
    }
}

/// Why a rate was refused; says how it is written and never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a price such as `{example}` (dollars, always with `/{unit}`; at most {places} decimal places)")]
pub struct RateError {
    example: &'static str,
    unit: &'static str,
    places: u32,
}

impl<U: Unit> FromStr for Per<U> {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = RateError { example: U::EXAMPLE, unit: U::NAME, places: U::UNITS.places() };
        let number = text.strip_prefix('$').and_then(|rest| rest.strip_suffix(U::NAME)?.strip_suffix('/'));
        number.and_then(|number| Rate::parse(number, U::UNITS)).map(Self::new).ok_or(error)
    }
}

impl<U: Unit> fmt::Display for Per<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.rate, U::UNITS, U::NAME))
    }
}

/// Writes a rate with its unit, with at least cents where it is not whole dollars: `$0.10/Mtok`, `$3/Mtok`.
pub fn written(rate: Rate, units: Units, name: &str) -> String {
    let dollars = rate.dollars(units);
    let cents = if dollars.split_once('.').is_some_and(|(_, part)| part.len() == 1) { "0" } else { "" };
    format!("${dollars}{cents}/{name}")
}

impl<U: Unit> Serialize for Per<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, U: Unit> Deserialize<'de> for Per<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<U: Unit> JsonSchema for Per<U> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        U::SCHEMA.into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let places = U::UNITS.places();
        json_schema!({
            "type": "string",
            "description": format!("Dollars per unit, with the unit: `{}`.", U::EXAMPLE),
            "minLength": 1,
            "pattern": format!("^\\$[0-9]{{1,{WHOLE_DIGITS}}}(\\.[0-9]{{1,{places}}}0*)?/{}$", U::NAME),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_is_read_in_pico_dollars_and_prints_as_it_would_be_written() {
        for (text, pico, canonical) in [
            ("$0.10/Mtok", 100_000, "$0.10/Mtok"),
            ("$3/Mtok", 3_000_000, "$3/Mtok"),
            ("$0.0375/Mtok", 37_500, "$0.0375/Mtok"),
            ("$0.000001/Mtok", 1, "$0.000001/Mtok"),
            ("$2.500000000/Mtok", 2_500_000, "$2.50/Mtok"),
            ("$0/Mtok", 0, "$0/Mtok"),
        ] {
            let rate: Per<Token> = text.parse().unwrap();
            assert_eq!((rate.rate().pico(), rate.to_string().as_str()), (pico, canonical), "{text}");
        }
        assert_eq!("$0.02/request".parse::<Per<Call>>().unwrap().rate().pico(), 20_000_000_000);
        assert_eq!("$0.000000000001/hour".parse::<Per<Hour>>().unwrap().rate().pico(), 1);
    }

    #[test]
    fn a_rate_without_its_unit_or_too_fine_is_refused_with_the_spelling_that_is_meant() {
        for bad in ["", "3", "$3", "3/Mtok", "$3/mtok", "$3/Mtok ", "$/Mtok", "$.5/Mtok", "$5./Mtok", "$-1/Mtok", "$1e3/Mtok"] {
            assert!(bad.parse::<Per<Token>>().is_err(), "{bad}");
        }
        for bad in ["$0.0000001/Mtok", "$1000000/Mtok", "$3/ktok", "$3/request", "$٣/Mtok"] {
            let error = bad.parse::<Per<Token>>().unwrap_err().to_string();
            assert!(error.contains("`$0.10/Mtok`"), "{error}");
        }
        assert!("$0.36/minute".parse::<Per<Hour>>().unwrap_err().to_string().contains("/hour"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(pico in 0_u64..999_999_999_999) {
            let (token, call) = (Per::<Token>::new(Rate(pico)), Per::<Call>::new(Rate(pico)));
            prop_assert_eq!(token.to_string().parse::<Per<Token>>(), Ok(token));
            prop_assert_eq!(call.to_string().parse::<Per<Call>>(), Ok(call));
        }
    }
}
