//! Published price files → the catalogue: genai-prices for prices, LiteLLM's map for capacity, capabilities and end dates.
//!
//! Not run when the gateway starts: its result is kept in `data.txt` (`bifrostctl catalog convert`), where it is reviewed. Rules: what a price says that is not
//! understood leaves its model unpriced; where the two disagree it is reported, and the first holds.

mod decimal;
mod genai;
mod litellm;
mod merge;
mod rates;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use decimal::scaled;
pub use merge::Conflict;

use super::entry::{Origin, Source};
use super::text::Catalogue;

/// A published file.
#[derive(Debug, Clone)]
pub struct Published {
    /// Whose it is.
    pub origin: Origin,
    /// Its version, as its project numbers it.
    pub version: String,
    /// The day on which it was read.
    pub read: String,
    /// What it says.
    pub value: Value,
    sha256: String,
}

/// Why a file cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPublished {
    /// Not JSON.
    #[error("the file is not JSON: {0}")]
    Json(String),
    /// JSON, but neither project's.
    #[error("the file is neither genai-prices' list of providers nor LiteLLM's map of models")]
    Unknown,
}

impl Published {
    /// Reads a file and finds out whose it is: genai-prices publishes a list of providers, LiteLLM a map of models.
    ///
    /// # Errors
    /// [`NotPublished`].
    pub fn read(text: &[u8], version: &str, read: &str) -> Result<Self, NotPublished> {
        let value: Value = serde_json::from_slice(text).map_err(|error| NotPublished::Json(error.to_string()))?;
        let is_genai = value.as_array().and_then(|list| list.first()).is_some_and(|first| first.get("models").is_some());
        let is_litellm = value.as_object().is_some_and(|map| map.values().any(|entry| entry.get("litellm_provider").is_some()));
        let origin = match (is_genai, is_litellm) {
            (true, _) => Origin::GenaiPrices,
            (false, true) => Origin::Litellm,
            (false, false) => return Err(NotPublished::Unknown),
        };
        let sha256 = hex::encode(Sha256::digest(text));
        Ok(Self { origin, version: version.to_owned(), read: read.to_owned(), value, sha256 })
    }

    fn source(&self) -> Source {
        let (name, version, read, sha256) = (self.origin.name().to_owned(), self.version.clone(), self.read.clone(), self.sha256.clone());
        Source { name, version, read, sha256 }
    }
}

/// What came of a conversion.
#[derive(Debug, Default)]
pub struct Converted {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// Where the two files disagree about a price by more than a two-hundredth.
    pub conflicts: Vec<Conflict>,
    /// Models left unpriced because something of their price is not understood, as `vendor/model: reason`.
    pub unread: Vec<String>,
}

/// Converts published files, the later ones of one project taking the place of the earlier. `now_unix_ms` is the time at which the two
/// projects' prices are compared.
pub fn convert(files: &[Published], now_unix_ms: u64) -> Converted {
    let mut done = Converted::default();
    for origin in Origin::ALL {
        let Some(file) = files.iter().rev().find(|file| file.origin == origin) else { continue };
        done.catalogue.sources.push(file.source());
        match origin {
            Origin::GenaiPrices => genai::add(&file.value, &mut done),
            Origin::Litellm => merge::add(litellm::read(&file.value), &mut done, now_unix_ms),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{Entry, text};

    fn published(value: &Value) -> Published {
        Published::read(value.to_string().as_bytes(), "1", "2026-11-25").unwrap()
    }

    fn genai(vendor: &str, models: Value) -> Published {
        published(&json!([{"id": vendor, "models": models}]))
    }

    fn lines(done: &Converted, vendor: &str, id: &str) -> Vec<String> {
        let entry: &Entry = done.catalogue.vendors[vendor].by_id(id).unwrap();
        entry.rows.iter().map(text::written).collect()
    }

    #[test]
    fn a_price_with_days_hours_steps_and_tiers_is_kept_whole() {
        let model = json!({"id": "m", "match": {"or": [{"equals": "M"}, {"regex": "^m[-@]\\d{8}$"}]}, "context_window": 100, "deprecated": true,
            "prices": [
                {"prices": {"input_mtok": {"base": 1, "tiers": [{"start": 200, "price": 2.5}]}, "web_searches_kcount": 10}},
                {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 0.0375}},
                {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"audio_hours": 0.36, "input_audio_hours": 0.36}}],
            "price_variants": [
                {"when": {"service_tier": "default"}, "prices": {}},
                {"when": {"service_tier": "fast"}, "prices": {"input_mtok": 9}},
                {"when": {"processing": "batch"}, "constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 0.5}}]});
        let done = convert(&[genai("v", json!([model]))], 0);
        let expected =
            ["input=1>200:2.5 web_search=0.01", "@2026-03-13 input=0.0375", "%16:30-00:30 audio=0.36", "batch @2026-10-14 input=0.5"];
        assert_eq!(lines(&done, "v", "m"), expected);
        let vendor = &done.catalogue.vendors["v"];
        let names = ["m", "m-20260101", "m@20260101", "m-2026", "m-latest"].map(|name| vendor.find(name).is_some());
        assert_eq!(names, [true, true, true, false, false]);
        assert_eq!(done.unread, Vec::<String>::new());
    }

    #[test]
    fn what_is_not_understood_leaves_a_model_unpriced_and_is_reported() {
        let prices = [
            json!({"input_mtok": 1, "input_gpixels": 2}),
            json!({"input_mtok": -1}),
            json!([{"constraint": {"weekday": "sunday"}, "prices": {"input_mtok": 1}}]),
            json!({}),
        ];
        let models =
            prices.iter().enumerate().map(|(at, prices)| json!({"id": format!("m{at}"), "match": {"equals": "x"}, "prices": prices}));
        let done = convert(&[genai("v", models.collect())], 0);
        assert_eq!(done.unread.len(), 4, "{:?}", done.unread);
        assert!(done.catalogue.vendors["v"].entries.iter().all(|entry| entry.rows.is_empty()));
        let free = json!([{"id": "m:free", "match": {"equals": "m:free"}, "prices": {}}, {"id": "n", "match": {"regex": "^(n|o)$"}, "prices": {"input_mtok": 1}}]);
        let done = convert(&[genai("v", free)], 0);
        assert_eq!(lines(&done, "v", "m:free"), ["request=0"]);
        assert_eq!(done.unread, ["v/n: not all of its names are understood"]);
    }

    #[test]
    fn the_second_source_fills_in_and_what_it_disagrees_about_is_reported() {
        let first = genai("openai", json!([{"id": "gpt", "match": {"equals": "gpt"}, "prices": {"input_mtok": 1, "output_mtok": 2}}]));
        let second = published(&json!({
            "gpt": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2.5e-6,
                "max_input_tokens": 128_000, "max_output_tokens": 4_096, "deprecation_date": "2027-01-01", "supports_vision": true},
            "only": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6,
                "input_cost_per_token_above_200k_tokens": 6e-6, "output_cost_per_token_batches": 2e-6},
            "zero": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
            "odd": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "cost_per_lunar_month": 1},
            "dashscope/q": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
                {"range": [0, 1000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
                {"range": [1000.0, 9000.0], "input_cost_per_token": 3e-6, "output_cost_per_token": 2e-6}]},
            "elsewhere": {"litellm_provider": "nobody", "input_cost_per_token": 1e-6},
        }));
        let done = convert(&[second, first], 0);
        let openai = &done.catalogue.vendors["openai"];
        let gpt = openai.by_id("gpt").unwrap();
        assert_eq!((gpt.capacity.output, gpt.retires.as_deref(), gpt.origin), (Some(4_096), Some("2027-01-01"), Some(Origin::GenaiPrices)));
        assert_eq!(gpt.capabilities, ["vision"]);
        let conflicts: Vec<_> =
            done.conflicts.iter().map(|it| (it.model.as_str(), it.meter.name(), it.held.pico(), it.other.pico())).collect();
        assert_eq!(conflicts, [("gpt", "output", 2_000_000, 2_500_000)]);
        assert_eq!(lines(&done, "openai", "only"), ["input=3>200000:6 output=4", "batch output=2"]);
        assert_eq!(openai.by_id("only").unwrap().origin, Some(Origin::Litellm));
        assert_eq!(lines(&done, "dashscope", "q"), ["input=1>1000:3 output=2>1000:2"]);
        assert_eq!(done.unread, ["openai/zero: no price", "openai/odd: a price that is not understood"]);
        assert_eq!(done.catalogue.vendors.len(), 2);
        assert_eq!(text::write(&text::read(&text::write(&done.catalogue)).unwrap()), text::write(&done.catalogue));
    }

    #[test]
    fn a_part_of_the_world_with_prices_of_its_own_has_them() {
        let first = genai(
            "aws",
            json!([{"id": "nova", "match": {"contains": "amazon.nova"}, "prices": {"input_mtok": 1, "output_mtok": 2}},
            {"id": "eu.nova", "match": {"contains": "eu.amazon.nova"}, "prices": {"input_mtok": 1, "output_mtok": 2}}]),
        );
        let at = |input: f64| json!({"litellm_provider": "bedrock_converse", "mode": "chat", "input_cost_per_token": input, "output_cost_per_token": 2e-6});
        let second =
            published(&json!({"eu.amazon.nova": at(1.3e-6), "us.amazon.nova": at(1e-6), "bedrock/eu-central-1/amazon.nova": at(9e-6)}));
        let done = convert(&[first, second], 0);
        assert_eq!(lines(&done, "aws", "eu.amazon.nova"), ["input=1.3 output=2"]);
        assert!(done.conflicts.is_empty() && done.catalogue.vendors["aws"].find("us.amazon.nova").is_some());
    }

    #[test]
    fn a_file_of_neither_is_refused() {
        for bad in ["{", "[]", "{}", "[{\"id\": 1}]", "{\"a\": {\"b\": 1}}", "3"] {
            assert!(Published::read(bad.as_bytes(), "1", "2026-11-25").is_err(), "{bad}");
        }
    }
}
