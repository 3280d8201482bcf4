//! `catalog show`: everything that is known of one model, and who says so.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::list::vendor_named;
use super::used::{at, lines, rates_json, spec};
use crate::base::visible;
use crate::catalog::{self, Capacity, Entry, Known, Origin, PriceList, overlay, sources, text};
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::table_text::table;

/// Shows everything that is known of one model: what it costs, how much fits into it, what it can do, when it ends, and who says so.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The model, as provider/model: a provider of the spec, a preset, or a vendor of the catalogue.
    #[arg(value_name = "PROVIDER/MODEL")]
    model: String,
    /// The day, or the time, whose price is shown [default: now].
    #[arg(long, value_name = "DATE")]
    at: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog show openai/gpt-5.4
  bifrostctl catalog show anthropic/claude-opus-4-6 --at 2026-03-01
  bifrostctl catalog show local-vllm/qwen3 -f gateway.yaml";

/// What is shown.
struct Shown {
    /// What the prices are called where they come from.
    from: String,
    known: Option<Known>,
    prices: Option<std::sync::Arc<PriceList>>,
    /// By the spec where it says so, else by the catalogue.
    capacity: Capacity,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let unix_ms = match args.at.as_deref() {
        None => context.io.clock.unix_ms(),
        Some(text) => overlay::begins(text)
            .ok_or_else(|| CommandError::usage("--at is neither a day nor a time").hint("write `2026-11-25` or `2026-11-25T12:00:00Z`"))?,
    };
    let Some((provider, model)) = args.model.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty()) else {
        return Err(CommandError::usage("expected `provider/model`").hint("such as `openai/gpt-5.4`"));
    };
    let shown = find(provider, model, context)?;
    let card = at(shown.prices.as_deref(), unix_ms);
    let mut rows: Vec<Vec<String>> = match card {
        Some(card) => lines(card),
        None => vec![vec!["price".to_owned(), "none is known: the model is unpriced".to_owned()]],
    };
    if let Some(prices) = shown.prices.as_deref() {
        rows.extend(dates(prices, unix_ms));
    }
    let tokens = |name: &str, count: Option<u64>| count.map(|count| vec![name.to_owned(), format!("{count} tokens")]);
    rows.extend(tokens("context", shown.capacity.input));
    rows.extend(tokens("most output", shown.capacity.output));
    if let Some(known) = &shown.known {
        rows.extend(facts(known.entry));
    }
    rows.push(vec!["price from".to_owned(), shown.from.clone()]);
    let result = json(args, unix_ms, &shown);
    Ok(Outcome::ok("").text(table(&rows)).result(result))
}

/// Looks in the spec, where there is one and it has such a provider, else in the catalogue.
fn find(provider: &str, model: &str, context: &mut Context<'_>) -> Result<Shown, CommandError> {
    if let Some((name, checked)) = spec(context)?
        && let Some(it) = checked.plan.providers.get(provider)
    {
        let (prices, capacity) = checked.plan.terms_of(provider, model);
        let known = catalog::known(it.server(), model);
        let entry = overlay::find(&checked.plan.prices, provider, model);
        let from = match (entry, &known) {
            (Some((key, _)), _) => format!("`prices` of {name}: `{key}`"),
            (None, Some(known)) => said_by(known),
            (None, None) if prices.is_some() => "the built-in mock costs nothing".to_owned(),
            (None, None) => "nobody; `prices` in the spec may say".to_owned(),
        };
        return Ok(Shown { from, known, prices, capacity });
    }
    let vendor = vendor_named(provider)?;
    let known = catalog::model(vendor, model).ok_or_else(|| {
        CommandError::failure(format!("the catalogue knows no `{}` of `{vendor}`", visible(model)))
            .hint(format!("`bifrostctl catalog list --provider {vendor}` lists those that it knows"))
    })?;
    Ok(Shown { from: said_by(&known), prices: known.prices.clone(), capacity: known.entry.capacity, known: Some(known) })
}

/// Says which source a price is from.
fn said_by(known: &Known) -> String {
    let priced = catalog::vendor(known.vendor).map_or(known.entry, |(_, vendor)| vendor.priced(known.entry));
    let name = format!("`{}/{}` of the catalogue", known.vendor, priced.id);
    let source = priced.origin.map(Origin::name).and_then(|name| sources().iter().find(|source| source.name == name));
    match source {
        Some(source) => format!("{name}, by {} {} of {}", source.name, source.version, source.read),
        None => format!("{name}, which nobody prices"),
    }
}

/// Lists the days on which the price changed or will.
fn dates(prices: &PriceList, unix_ms: u64) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if let Some(period) = prices.period(unix_ms) {
        if period.from_ms > 0 {
            rows.push(vec!["since".to_owned(), text::day_of(period.from_ms)]);
        }
        for hours in &period.hours {
            let until = text::clock(hours.until_s);
            rows.push(vec![format!("{}–{until} UTC", text::clock(hours.from_s)), said(&hours.card)]);
        }
    }
    for period in prices.periods().iter().filter(|period| period.from_ms > unix_ms) {
        rows.push(vec![format!("from {}", text::day_of(period.from_ms)), said(&period.card)]);
    }
    rows
}

fn said(card: &catalog::RateCard) -> String {
    let all: Vec<String> = lines(card).into_iter().map(|row| row.join(" ")).collect();
    all.join(", ")
}

fn facts(entry: &Entry) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if !entry.capabilities.is_empty() {
        rows.push(vec!["known for".to_owned(), entry.capabilities.join(", ")]);
    }
    rows.extend(entry.retires.clone().map(|day| vec!["retires".to_owned(), day]));
    rows.extend(entry.regional_percent.map(|percent| vec!["in one region".to_owned(), format!("{percent} % of the price")]));
    rows
}

fn json(args: &Args, unix_ms: u64, shown: &Shown) -> Value {
    let card = at(shown.prices.as_deref(), unix_ms);
    let entry = shown.known.as_ref().map(|known| known.entry);
    let tier = |sheet: &Option<catalog::Sheet>| sheet.as_ref().map(|sheet| rates_json(&sheet.base));
    let steps = card.map(|card| {
        card.standard.steps.iter().map(|(above, rates)| json!({"above": above, "rates": rates_json(rates)})).collect::<Vec<_>>()
    });
    let changes: Vec<String> = shown.prices.iter().flat_map(|prices| prices.periods()).map(|period| text::day_of(period.from_ms)).collect();
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    json!({"model": args.model, "at": at.map(|at| at.to_string()), "from": shown.from, "free": card.is_some_and(catalog::RateCard::is_free),
        "rates": card.map(|card| rates_json(&card.standard.base)), "above": steps,
        "batch": card.and_then(|card| tier(&card.batch)), "flex": card.and_then(|card| tier(&card.flex)),
        "priority": card.and_then(|card| tier(&card.priority)), "begins": changes,
        "max_input_tokens": shown.capacity.input, "max_output_tokens": shown.capacity.output,
        "capabilities": entry.map(|entry| &entry.capabilities), "retires": entry.and_then(|entry| entry.retires.as_deref())})
}
