//! genai-prices' list of providers (MIT, Pydantic Services Inc.): dated prices, steps, tiers, and how models are named.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Converted;
use super::decimal::scaled;
use super::rates::GENAI;
use crate::base::Rate;
use crate::catalog::entry::{Capacity, Entry, Origin, Vendor};
use crate::catalog::meter::Meter;
use crate::catalog::row::{Row, Tiered};
use crate::catalog::term::Term;
use crate::catalog::text::day_ms;
use crate::wire::ir::Tier;

/// Adds every provider.
pub(super) fn add(value: &Value, done: &mut Converted) {
    for provider in value.as_array().into_iter().flatten() {
        let Some(name) = text(provider, "id") else { continue };
        let mut vendor = Vendor::default();
        for model in provider.get("models").and_then(Value::as_array).into_iter().flatten() {
            let Some(id) = text(model, "id").filter(|id| !id.contains([' ', '\n'])) else {
                done.unread.push(format!("{name}: a model without a name that can be written"));
                continue;
            };
            vendor.push(entry(name, id, model, done));
        }
        done.catalogue.vendors.insert(name.to_owned(), vendor);
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn entry(vendor: &str, id: &str, model: &Value, done: &mut Converted) -> Entry {
    let mut terms = Vec::new();
    if model.get("match").and_then(|clause| read_terms(clause, &mut terms)).is_none() {
        done.unread.push(format!("{vendor}/{id}: not all of its names are understood"));
    }
    if vendor == "openai" && id == "moderation" {
        // Its one term is any name with that word in it, which would be too much to take for a version.
        terms.extend(
            ["omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-latest", "text-moderation-stable"]
                .map(|name| Term::Equals(name.to_owned())),
        );
    }
    let rows = match read_rows(id, model) {
        Ok(rows) => rows,
        Err(what) => {
            done.unread.push(format!("{vendor}/{id}: {what}"));
            Vec::new()
        }
    };
    let is_deprecated = model.get("deprecated").and_then(Value::as_bool) == Some(true);
    Entry {
        id: id.to_owned(),
        terms,
        capacity: Capacity { input: model.get("context_window").and_then(Value::as_u64), output: None },
        capabilities: is_deprecated.then(|| "deprecated".to_owned()).into_iter().collect(),
        origin: (!rows.is_empty()).then_some(Origin::GenaiPrices),
        // Its documentation, and genai-prices' code: "minimum billed length 10 seconds".
        least_audio_ms: if vendor == "groq" && id.starts_with("whisper-large-v3") { 10_000 } else { 0 },
        rows,
        ..Entry::default()
    }
}

/// Reads how a model is named; none where a clause is not understood, which then names nothing.
fn read_terms(clause: &Value, terms: &mut Vec<Term>) -> Option<()> {
    let (kind, value) = clause.as_object()?.iter().next()?;
    let text = || value.as_str().map(str::to_lowercase).filter(|text| !text.contains([' ', '#', '\n']));
    match kind.as_str() {
        "or" => {
            let clauses = value.as_array()?;
            let understood = clauses.iter().filter(|clause| read_terms(clause, terms).is_some()).count();
            return (understood == clauses.len()).then_some(());
        }
        // The second half of each such pair keeps models that speak away, which a term does by itself: `tts` is a word more.
        "and" => return value.as_array()?.first().and_then(|first| read_terms(first, terms)),
        "equals" => terms.push(Term::Equals(text()?)),
        "starts_with" => terms.push(Term::StartsWith(text()?)),
        "ends_with" => terms.push(Term::EndsWith(text()?)),
        "contains" => terms.push(Term::Contains(text()?)),
        "regex" => terms.extend(read_regex(value.as_str()?)?),
        _ => return None,
    }
    Some(())
}

/// Reads the few forms of regular expressions that name versions by their dates.
fn read_regex(regex: &str) -> Option<Vec<Term>> {
    let inner = regex.strip_prefix('^')?;
    let (inner, is_whole) = inner.strip_suffix('$').map_or((inner, false), |inner| (inner, true));
    let counted = inner.replace("\\d{8}", "########").replace("\\d{4}", "####").replace("\\d{2}", "##");
    if !is_whole {
        // `^gemini-3\.5-flash-\d`: any version that begins with a digit.
        let beginning = counted.strip_suffix("\\d")?.replace("\\.", ".");
        return is_plain(&beginning).then(|| vec![Term::StartsWith(beginning)]);
    }
    let plain = counted.replace("\\.", ".").replace("\\[", "[").replace("\\]", "]");
    let both: Vec<String> = match plain.contains("[-@]") {
        true => vec![plain.replace("[-@]", "-"), plain.replace("[-@]", "@")],
        false => vec![plain],
    };
    both.iter().all(|text| is_plain(text)).then(|| both.into_iter().map(Term::Equals).collect())
}

fn is_plain(text: &str) -> bool {
    !text.contains(['\\', '(', ')', '*', '+', '?', '|', '{', '}', '^', '$', ' '])
}

fn read_rows(id: &str, model: &Value) -> Result<Vec<Row>, &'static str> {
    let prices = model.get("prices").ok_or("no prices")?;
    let mut rows = Vec::new();
    match prices {
        Value::Array(list) => {
            for row in list {
                rows.push(read_row(row, Tier::Standard)?);
            }
        }
        // No rates at all is said of what is free, of what was never priced, and of what a subscription includes: only a name tells.
        Value::Object(rates) if rates.is_empty() && (id.ends_with(":free") || id == "moderation") => {
            let free = BTreeMap::from([(Meter::Request, Tiered::flat(Rate::ZERO))]);
            return Ok(vec![Row { rates: free, ..Row::default() }]);
        }
        Value::Object(rates) if rates.is_empty() => return Err("no rates, and nothing that says that it is free"),
        Value::Object(rates) => rows.push(Row { rates: read_rates(rates)?, ..Row::default() }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err("prices of another form"),
    }
    for variant in model.get("price_variants").and_then(Value::as_array).into_iter().flatten() {
        let Some(tier) = variant.get("when").and_then(Value::as_object).and_then(read_tier) else { continue };
        let row = read_row(variant, tier)?;
        if !row.rates.is_empty() && tier != Tier::Standard {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Reads which tier a variant is for; none for those that no tier is, such as a route of OpenRouter's, and for other names of one.
fn read_tier(when: &Map<String, Value>) -> Option<Tier> {
    if when.len() != 1 {
        return None;
    }
    match (when.get("processing").and_then(Value::as_str), when.get("service_tier").and_then(Value::as_str)) {
        (Some("batch"), None) => Some(Tier::Batch),
        (None, Some("flex")) => Some(Tier::Flex),
        (None, Some("priority")) => Some(Tier::Priority),
        (None, Some("default")) => Some(Tier::Standard),
        _ => None,
    }
}

fn read_row(row: &Value, tier: Tier) -> Result<Row, &'static str> {
    let rates = row.get("prices").and_then(Value::as_object).ok_or("a price without rates")?;
    let mut read = Row { tier, rates: read_rates(rates)?, ..Row::default() };
    for (name, value) in row.get("constraint").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().ok_or("a condition that is no text")?;
        match name.as_str() {
            "start_date" => read.from_ms = Some(day_ms(value).ok_or("a day that is none")?),
            "start_time" => read.hours = Some((second(value)?, read.hours.unwrap_or_default().1)),
            "end_time" => read.hours = Some((read.hours.unwrap_or_default().0, second(value)?)),
            _ => return Err("a condition that is not understood"),
        }
    }
    if tier != Tier::Standard && read.hours.is_some() {
        return Err("hours of a tier");
    }
    Ok(read)
}

/// Reads `16:30:00Z`.
fn second(text: &str) -> Result<u32, &'static str> {
    let wrong = "a time that is not understood";
    let time = text.strip_suffix('Z').ok_or(wrong)?.parse::<jiff::civil::Time>().map_err(|_| wrong)?;
    if time.second() != 0 {
        return Err(wrong);
    }
    u32::try_from(i32::from(time.hour()) * 3_600 + i32::from(time.minute()) * 60).map_err(|_| wrong)
}

fn read_rates(rates: &Map<String, Value>) -> Result<BTreeMap<Meter, Tiered>, &'static str> {
    let mut read = BTreeMap::new();
    for (name, value) in rates {
        let (_, meter, power) = GENAI.iter().find(|(known, ..)| known == name).ok_or("a rate that is not understood")?;
        let rate = |value: Option<&Value>| {
            let pico = value.and_then(|value| scaled(value.as_number()?, *power));
            pico.map(Rate::from_pico).ok_or("a rate that is no amount")
        };
        let tiered = match value {
            Value::Object(tiered) => {
                let mut above = Vec::new();
                for step in tiered.get("tiers").and_then(Value::as_array).into_iter().flatten() {
                    above.push((step.get("start").and_then(Value::as_u64).ok_or("a step without a start")?, rate(step.get("price"))?));
                }
                above.sort_by_key(|(above, _)| *above);
                Tiered { base: rate(tiered.get("base"))?, above }
            }
            Value::Null => continue,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Tiered::flat(rate(Some(value))?),
        };
        if read.insert(*meter, tiered.clone()).is_some_and(|other| other != tiered) {
            return Err("two rates for one thing");
        }
    }
    Ok(read)
}
