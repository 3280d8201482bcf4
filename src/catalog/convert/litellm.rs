//! LiteLLM's map of models (MIT, BerriAI): capacity, capabilities, end dates, and undated prices.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::decimal::scaled;
use super::rates::{LITELLM, LITELLM_POWER};
use crate::base::Rate;
use crate::catalog::entry::Capacity;
use crate::catalog::meter::Meter;
use crate::catalog::row::{Row, Tiered};
use crate::catalog::text::day_ms;
use crate::wire::ir::Tier;

/// One entry of the map.
#[derive(Debug)]
pub(super) struct Listed {
    /// Its vendor in the catalogue.
    pub(super) vendor: &'static str,
    /// The model's name as requests have it, in lower case.
    pub(super) id: String,
    pub(super) capacity: Capacity,
    pub(super) capabilities: Vec<String>,
    pub(super) retires: Option<String>,
    pub(super) regional_percent: Option<u64>,
    /// Its prices, or why they are not understood.
    pub(super) rows: Result<Vec<Row>, &'static str>,
}

/// Vendors whose entries are taken: LiteLLM's name, ours, and what stands before the model in the map's keys.
const VENDORS: [(&str, &str, &str); 50] = [
    ("ai21", "ai21", ""),
    ("anthropic", "anthropic", ""),
    ("azure", "azure", "azure/"),
    ("azure_ai", "azure", "azure_ai/"),
    ("baseten", "baseten", "baseten/"),
    ("bedrock", "aws", "bedrock/"),
    ("bedrock_converse", "aws", ""),
    ("bedrock_mantle", "aws", "bedrock_mantle/"),
    ("cerebras", "cerebras", "cerebras/"),
    ("cohere", "cohere", "cohere/"),
    ("cohere_chat", "cohere", ""),
    ("dashscope", "dashscope", "dashscope/"),
    ("deepinfra", "deepinfra", "deepinfra/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("fireworks_ai", "fireworks", "fireworks_ai/"),
    ("fireworks_ai-embedding-models", "fireworks", "fireworks_ai/"),
    ("friendliai", "friendliai", "friendliai/"),
    ("gemini", "google", "gemini/"),
    ("gmi", "gmi", "gmi/"),
    ("groq", "groq", "groq/"),
    ("hyperbolic", "hyperbolic", "hyperbolic/"),
    ("inception", "inception", "inception/"),
    ("jina_ai", "jina", ""),
    ("lambda_ai", "lambda", "lambda_ai/"),
    ("minimax", "minimax", "minimax/"),
    ("mistral", "mistral", "mistral/"),
    ("moonshot", "moonshotai", "moonshot/"),
    ("morph", "morph", "morph/"),
    ("nebius", "nebius", "nebius/"),
    ("novita", "novita", "novita/"),
    ("nscale", "nscale", "nscale/"),
    ("openai", "openai", ""),
    ("openrouter", "openrouter", "openrouter/"),
    ("perplexity", "perplexity", "perplexity/"),
    ("sambanova", "sambanova", "sambanova/"),
    ("scaleway", "scaleway", "scaleway/"),
    ("tencent", "tencent", "tencent/"),
    ("text-completion-openai", "openai", ""),
    ("together_ai", "together", "together_ai/"),
    ("vertex_ai", "google", "vertex_ai/"),
    ("vertex_ai-anthropic_models", "google", "vertex_ai/"),
    ("vertex_ai-deepseek_models", "google", "vertex_ai/"),
    ("vertex_ai-embedding-models", "google", "vertex_ai/"),
    ("vertex_ai-language-models", "google", "vertex_ai/"),
    ("vertex_ai-llama_models", "google", "vertex_ai/"),
    ("vertex_ai-mistral_models", "google", "vertex_ai/"),
    ("vertex_ai-qwen_models", "google", "vertex_ai/"),
    ("voyage", "voyageai", "voyage/"),
    ("xai", "x-ai", "xai/"),
    ("zai", "zai", "zai/"),
];

/// What a model can do: LiteLLM's word, and ours.
const ABILITIES: [(&str, &str); 11] = [
    ("supports_audio_input", "audio_input"),
    ("supports_audio_output", "audio_output"),
    ("supports_computer_use", "computer_use"),
    ("supports_function_calling", "tools"),
    ("supports_parallel_function_calling", "parallel_tools"),
    ("supports_pdf_input", "pdf"),
    ("supports_prompt_caching", "prompt_caching"),
    ("supports_reasoning", "reasoning"),
    ("supports_response_schema", "json_schema"),
    ("supports_vision", "vision"),
    ("supports_web_search", "web_search"),
];

/// What a model is for, where it is not chat: LiteLLM's word, and ours.
const MODES: [(&str, &str); 7] = [
    ("audio_speech", "speech"),
    ("audio_transcription", "transcription"),
    ("completion", "completion"),
    ("embedding", "embedding"),
    ("image_generation", "image_generation"),
    ("moderation", "moderation"),
    ("rerank", "rerank"),
];

/// Reads the entries of the vendors that are taken, in the map's order.
pub(super) fn read(value: &Value) -> Vec<Listed> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, entry)| listed(key, entry.as_object()?)).collect()
}

fn listed(key: &str, entry: &Map<String, Value>) -> Option<Listed> {
    let provider = entry.get("litellm_provider").and_then(Value::as_str)?;
    let (_, vendor, prefix) = VENDORS.iter().find(|(known, ..)| *known == provider)?;
    let id = key.strip_prefix(prefix).unwrap_or(key).to_lowercase();
    // What stands before a slash is a region or a size there, neither of which is part of a request's model.
    let has_more = matches!(*vendor, "aws" | "azure" | "openai" | "x-ai") && id.contains('/');
    if has_more || id.contains([' ', '#']) || id.is_empty() {
        return None;
    }
    let count = |name: &str| entry.get(name).and_then(Value::as_u64).filter(|count| *count > 0);
    let is_true = |name: &str| entry.get(name).and_then(Value::as_bool) == Some(true);
    let mode = entry.get("mode").and_then(Value::as_str).unwrap_or("chat");
    let abilities = ABILITIES.iter().filter(|(theirs, _)| is_true(theirs)).map(|(_, ours)| (*ours).to_owned());
    let modes = MODES.iter().filter(|(theirs, _)| *theirs == mode).map(|(_, ours)| (*ours).to_owned());
    let mut capabilities: Vec<String> = abilities.chain(modes).collect();
    capabilities.sort();
    let day = entry.get("deprecation_date").and_then(Value::as_str).filter(|day| day_ms(day).is_some());
    let uplift = entry.get("regional_endpoint_uplift_multiplier").and_then(|value| scaled(value.as_number()?, 2));
    Some(Listed {
        vendor,
        id,
        capacity: Capacity { input: count("max_input_tokens"), output: count("max_output_tokens") },
        capabilities,
        retires: day.map(str::to_owned),
        regional_percent: uplift.filter(|percent| *percent > 100),
        rows: rows(entry, mode),
    })
}

/// Ends of the names of rates that hold in a tier.
const TIERS: [(&str, Tier); 3] = [("_batches", Tier::Batch), ("_flex", Tier::Flex), ("_priority", Tier::Priority)];

/// Names of prices that a chat's answer does not come to, or of tiers that nobody asks for by our formats.
const BESIDE: [&str; 10] = [
    "_decisions",
    "_ultrafast",
    "_balanced",
    "above_12hr",
    "google_maps_grounding_cost_per_query",
    "code_interpreter_cost_per_session",
    "file_search_cost_per",
    "vector_store_cost_per",
    "computer_use_",
    "_dbu_",
];

fn rows(entry: &Map<String, Value>, mode: &str) -> Result<Vec<Row>, &'static str> {
    let mut by_tier: BTreeMap<Tier, BTreeMap<Meter, Tiered>> = BTreeMap::new();
    let mut steps: Vec<(Tier, Meter, u64, Rate)> = Vec::new();
    for (name, value) in entry {
        if name == "search_context_cost_per_query" {
            let medium = value.get("search_context_size_medium").and_then(|value| scaled(value.as_number()?, LITELLM_POWER));
            let rates = by_tier.entry(Tier::Standard).or_default();
            rates.extend(medium.map(|pico| (Meter::WebSearch, Tiered::flat(Rate::from_pico(pico)))));
            continue;
        }
        if name == "tiered_pricing" {
            by_range(value, by_tier.entry(Tier::Standard).or_default(), &mut steps)?;
            continue;
        }
        let is_price = name.contains("cost") || name.contains("pricing");
        if !is_price || value.is_null() || BESIDE.iter().any(|beside| name.contains(beside)) {
            continue;
        }
        let is_zero = value.as_f64() == Some(0.0);
        if name.starts_with("output_cost_per_second") && (is_zero || entry.get("input_cost_per_second") == Some(value)) {
            continue;
        }
        let (tier, meter, above) = place(name, mode).ok_or("a price that is not understood")?;
        let power = if meter == Meter::Audio { LITELLM_POWER - 2 } else { LITELLM_POWER };
        let scale = if meter == Meter::Audio { 360_000 } else { 1 };
        let pico = value.as_number().and_then(|number| scaled(number, power)).and_then(|pico| pico.checked_mul(scale));
        let rate = Rate::from_pico(pico.ok_or("a price that is no amount")?);
        match above {
            Some(above) => steps.push((tier, meter, above, rate)),
            None => by_tier.entry(tier).or_default().extend([(meter, Tiered::flat(rate))]),
        }
    }
    steps.sort();
    for (tier, meter, above, rate) in steps {
        let base = by_tier.entry(tier).or_default().get_mut(&meter).ok_or("a price for long inputs alone")?;
        base.above.push((above, rate));
    }
    let standard = by_tier.get(&Tier::Standard).ok_or("no price")?;
    // Zeros are said of what is free and of what nobody has priced alike.
    let is_zero = |rates: &BTreeMap<Meter, Tiered>| rates.values().all(|rate| rate.base.pico() == 0);
    let has = |meter: Meter| standard.get(&meter).is_some_and(|rate| rate.base.pico() > 0);
    if is_zero(standard) || (["chat", "responses"].contains(&mode) && !(has(Meter::Input) && has(Meter::Output))) {
        return Err("no price");
    }
    Ok(by_tier.into_iter().map(|(tier, rates)| Row { tier, rates, ..Row::default() }).collect())
}

/// Reads prices that are listed by ranges of the input's length: `[{"range": [0, 256000], "input_cost_per_token": …}, …]`.
fn by_range(list: &Value, rates: &mut BTreeMap<Meter, Tiered>, steps: &mut Vec<(Tier, Meter, u64, Rate)>) -> Result<(), &'static str> {
    let wrong = "ranges of prices that are not understood";
    for range in list.as_array().ok_or(wrong)? {
        let begins = range.pointer("/range/0").and_then(|from| scaled(from.as_number()?, 0)).ok_or(wrong)?;
        for (name, value) in range.as_object().into_iter().flatten().filter(|(name, _)| *name != "range") {
            let (_, meter) = LITELLM.iter().find(|(known, _)| known == name).ok_or(wrong)?;
            let pico = value.as_number().and_then(|number| scaled(number, LITELLM_POWER)).ok_or(wrong)?;
            let rate = Rate::from_pico(pico);
            match begins {
                0 => rates.extend([(*meter, Tiered::flat(rate))]),
                above => steps.push((Tier::Standard, *meter, above, rate)),
            }
        }
    }
    Ok(())
}

/// Returns what a price's name says: for which tier, of what, and above how many tokens of input.
fn place(name: &str, mode: &str) -> Option<(Tier, Meter, Option<u64>)> {
    if name == "input_cost_per_second" && mode != "audio_transcription" {
        return None;
    }
    if name == "input_cost_per_query" && mode != "rerank" {
        return None;
    }
    let ends = TIERS.iter().find_map(|(end, tier)| Some((name.strip_suffix(end)?, *tier)));
    let (name, tier) = ends.unwrap_or((name, Tier::Standard));
    let (name, above) = match name.strip_suffix("_tokens").and_then(|name| name.rsplit_once("_above_")) {
        Some((name, above)) => (name, Some(above.strip_suffix('k')?.parse::<u64>().ok()?.checked_mul(1_000)?)),
        None => (name, None),
    };
    let (_, meter) = LITELLM.iter().find(|(known, _)| *known == name)?;
    Some((tier, *meter, above))
}
