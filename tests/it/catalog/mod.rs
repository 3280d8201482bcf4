//! The embedded catalogue against what others make of the same published prices.

use bifrostctl::catalog;
use bifrostctl::wire::ir::{OtherCounts, Tier, Usage};
use serde_json::Value;

fn usage(counts: &Value) -> Usage {
    let count = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or_default();
    let rare = |name: &str| u32::try_from(count(name)).unwrap();
    let other = OtherCounts {
        cache_read_audio: rare("cache_read_audio"),
        cache_read_image: rare("cache_read_image"),
        input_video: rare("input_video"),
        output_image: rare("output_image"),
        output_video: rare("output_video"),
        citation: rare("citation"),
        web_searches: rare("web_searches"),
        file_searches: rare("file_searches"),
        audio_ms: rare("audio_ms"),
        characters: rare("characters"),
        images: rare("images"),
        pages: rare("pages"),
        annotated_pages: rare("annotated_pages"),
    };
    Usage {
        input: count("input"),
        cache_read: count("cache_read"),
        cache_write: count("cache_write"),
        cache_write_1h: count("cache_write_1h"),
        output: count("output"),
        reasoning: count("reasoning"),
        input_audio: count("input_audio"),
        input_image: count("input_image"),
        output_audio: count("output_audio"),
        other,
    }
}

#[test]
fn answers_cost_what_an_independent_implementation_says_to_the_nano_dollar() {
    let cases = std::fs::read_to_string(crate::architecture::root().join("tests/fixtures/prices/cases.jsonl")).unwrap();
    let mut wrong = Vec::new();
    let mut checked = std::collections::BTreeMap::<String, usize>::new();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap();
        let at: jiff::Timestamp = text("at").parse().unwrap();
        let tier = Tier::ALL.into_iter().find(|tier| tier.as_str() == text("tier")).unwrap();
        let expected = case["nano"].as_i64().unwrap();
        let prices = catalog::model(text("vendor"), text("model")).and_then(|known| known.prices);
        // A price with a unit that nothing here counts leaves its model unpriced.
        let Some(prices) = prices else {
            wrong.push(format!("unpriced: {line}"));
            continue;
        };
        let card = prices.at(u64::try_from(at.as_millisecond()).unwrap()).unwrap();
        let used = usage(&case["usage"]);
        let cost = card.cost(&used, tier).nano();
        if cost != expected {
            wrong.push(format!("{cost} instead of {line}"));
        }
        if !card.counts_beyond_tokens() {
            assert!(card.ceiling(used.whole_input(), used.output, tier).nano() >= cost, "{line}");
        }
        *checked.entry(text("vendor").to_owned()).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} of {} are wrong\n{}", wrong.len(), cases.lines().count(), wrong.join("\n"));
    assert!(checked.len() > 30 && checked.values().sum::<usize>() >= 800, "{checked:?}");
}

#[test]
fn the_notices_of_both_sources_are_kept_beside_the_data() {
    let notices = std::fs::read_to_string(crate::architecture::root().join("src/catalog/LICENSES.md")).unwrap();
    for words in ["genai-prices", "Pydantic Services Inc", "litellm", "Berri AI", "MIT License", "without warranty"] {
        assert!(notices.to_lowercase().contains(&words.to_lowercase()), "{words}");
    }
}
