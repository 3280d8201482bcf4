//! `catalog list`: the models of the embedded catalogue, with what they cost today.

use serde_json::{Value, json};

use super::used::{card, rates_json};
use crate::base::glob;
use crate::catalog::{Entry, Meter, RateCard, Vendor, catalogue, preset};
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::table_text::{count, table};

/// Lists the models of the embedded catalogue, with what they cost today, in dollars per million tokens.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this vendor's: a vendor of the catalogue, or a preset.
    #[arg(long, value_name = "VENDOR")]
    provider: Option<String>,
    /// Only models whose name matches this pattern.
    #[arg(long, value_name = "GLOB")]
    model: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog list --provider openai
  bifrostctl catalog list --model \"*llama-3.3*\"
  bifrostctl catalog list --provider mistral -o json | jq '.result.models[].id'";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let now = context.io.clock.unix_ms();
    let wanted = args.provider.as_deref().map(vendor_named).transpose()?;
    let matches = |entry: &Entry| args.model.as_deref().is_none_or(|pattern| glob::matches(pattern, &entry.id));
    let mut rows = vec![["MODEL", "INPUT", "OUTPUT", "CACHE READ", "CONTEXT", "MAX OUTPUT", "RETIRES"].map(str::to_owned).to_vec()];
    let mut models = Vec::new();
    for (name, vendor) in catalogue().vendors.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name.as_str())) {
        let mut entries: Vec<&Entry> = vendor.entries.iter().filter(|entry| matches(entry)).collect();
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        for entry in entries {
            let card = card(vendor, entry, now);
            rows.push(row(name, entry, card.as_ref()));
            models.push(json(name, vendor, entry, card.as_ref()));
        }
    }
    if models.is_empty() {
        return Err(CommandError::failure("no model of the catalogue matches").hint("`bifrostctl catalog list` lists all of them"));
    }
    let summary = count(models.len(), "model");
    Ok(Outcome::ok(summary).text(table(&rows)).result(json!({"models": models})))
}

/// Returns the vendor of a name: one of the catalogue's, or that of a preset.
pub(super) fn vendor_named(name: &str) -> Result<&'static str, CommandError> {
    if let Some((known, _)) = crate::catalog::vendor(name) {
        return Ok(known);
    }
    match preset(name) {
        Some(preset) => preset.prices.as_deref().ok_or_else(|| {
            CommandError::failure(format!("the catalogue has no prices of `{name}`"))
                .hint("`prices:` in the spec may say what its models cost")
        }),
        None => {
            let vendors: Vec<&str> = catalogue().vendors.keys().map(String::as_str).collect();
            Err(CommandError::failure(format!("the catalogue has no vendor `{}`", crate::base::visible(name)))
                .hint(format!("it has: {}", vendors.join(", "))))
        }
    }
}

fn row(vendor: &str, entry: &Entry, card: Option<&RateCard>) -> Vec<String> {
    let rate = |meter: Meter| {
        let rate = card.and_then(|card| card.standard.base.get(meter));
        rate.map_or_else(|| "-".to_owned(), |rate| rate.dollars(meter.units()))
    };
    let tokens = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let price = match card {
        None => ["unpriced".to_owned(), "-".to_owned(), "-".to_owned()],
        Some(card) if card.is_free() => ["free".to_owned(), "-".to_owned(), "-".to_owned()],
        Some(card) if card.standard.base.get(Meter::Input).is_none() => [other(card), "-".to_owned(), "-".to_owned()],
        Some(_) => [Meter::Input, Meter::Output, Meter::CacheRead].map(rate),
    };
    let retires = entry.retires.clone().unwrap_or_else(|| "-".to_owned());
    let size = [tokens(entry.capacity.input), tokens(entry.capacity.output), retires];
    std::iter::once(format!("{vendor}/{}", entry.id)).chain(price).chain(size).collect()
}

/// Writes the first rate of a model that is not paid by tokens.
fn other(card: &RateCard) -> String {
    card.standard.base.iter().next().map_or_else(|| "-".to_owned(), |(meter, rate)| meter.written(rate))
}

fn json(name: &str, vendor: &Vendor, entry: &Entry, card: Option<&RateCard>) -> Value {
    let source = vendor.priced(entry).origin.filter(|_| card.is_some()).map(|origin| origin.name());
    json!({"vendor": name, "id": entry.id, "rates": card.map(|card| rates_json(&card.standard.base)), "free": card.is_some_and(RateCard::is_free),
        "max_input_tokens": entry.capacity.input, "max_output_tokens": entry.capacity.output, "capabilities": entry.capabilities,
        "retires": entry.retires, "source": source})
}
