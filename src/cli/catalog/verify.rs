//! `catalog verify`: checks the embedded data by themselves, and the prices of the spec against them.

use serde_json::{Value, json};

use super::used::{at, changes, named, spec};
use crate::catalog::{self, Catalogue, Entry, Meter, RateCard, Vendor, catalogue, overlay, sources};
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output::Outcome;
use crate::cli::table_text::{count, table};
use crate::plan::Plan;

/// Checks the embedded catalogue by itself and, where there is a spec, what its models cost.
///
/// Exits with 1 when the data are wrong, with 2 when --exit-code is given and there is something to look at.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Exits with 2 when a price of the spec or a model that it asks for deserves a look.
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog verify
  bifrostctl catalog verify -f gateway.yaml --exit-code";

/// The dearest rate of a token that is believed: a thousand times what models cost that are called dear. Pico-USD.
const ABSURD_PICO: u64 = 10_000_000_000;

/// Something to look at, about one model.
struct Note {
    model: String,
    what: &'static str,
    said: String,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let now = context.io.clock.unix_ms();
    let wrong = faults(catalogue());
    if !wrong.is_empty() {
        let mut error = CommandError::failure(format!("the embedded catalogue is wrong in {}", count(wrong.len(), "place")));
        for fault in wrong {
            error = error.hint(fault);
        }
        return Err(error);
    }
    let notes = match spec(context)? {
        Some((_, checked)) => notes(&checked.plan, now),
        None => Vec::new(),
    };
    let models: usize = catalogue().vendors.values().map(|vendor| vendor.entries.len()).sum();
    let from: Vec<String> = sources().iter().map(|source| format!("{} {} of {}", source.name, source.version, source.read)).collect();
    let summary = format!(
        "the catalogue is sound: {} from {}; {} to look at",
        count(models, "model"),
        from.join(" and "),
        count(notes.len(), "thing")
    );
    let rows: Vec<Vec<String>> = notes.iter().map(|note| vec![note.model.clone(), note.what.to_owned(), note.said.clone()]).collect();
    let result: Vec<Value> = notes.iter().map(|note| json!({"model": note.model, "what": note.what, "said": note.said})).collect();
    let sources: Vec<Value> = sources()
        .iter()
        .map(|source| json!({"name": source.name, "version": source.version, "read": source.read, "sha256": source.sha256}))
        .collect();
    let exit = if args.exit_code && !notes.is_empty() { Exit::Differences } else { Exit::Ok };
    Ok(Outcome::ok(summary).text(table(&rows)).result(json!({"models": models, "sources": sources, "notes": result})).exit(exit))
}

/// Returns what is wrong with the data.
fn faults(catalogue: &Catalogue) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, vendor) in &catalogue.vendors {
        for entry in &vendor.entries {
            faults.extend(fault(vendor, entry).map(|what| format!("{name}/{}: {what}", entry.id)));
        }
    }
    if catalogue.sources.is_empty() {
        faults.push("no source is named".to_owned());
    }
    faults
}

fn fault(vendor: &Vendor, entry: &Entry) -> Option<&'static str> {
    if entry.terms.is_empty() {
        return Some("no request can name it");
    }
    if let Some(id) = &entry.priced_as
        && vendor.by_id(id).is_none()
    {
        return Some("it is priced as a model that does not exist");
    }
    if !entry.rows.is_empty() && entry.origin.is_none() {
        return Some("nobody says what it costs");
    }
    let prices = vendor.prices(entry)?;
    let is_absurd = |card: &RateCard| {
        let steps = card.standard.steps.iter().map(|(_, rates)| rates);
        let rates = std::iter::once(&card.standard.base).chain(steps);
        rates.flat_map(catalog::Rates::iter).any(|(meter, rate)| meter.is_of_tokens() && rate.pico() > ABSURD_PICO)
    };
    prices.periods().iter().any(|period| is_absurd(&period.card)).then_some("a rate cannot be right")
}

/// Returns what deserves a look about the models that a spec asks for.
fn notes(plan: &Plan, now: u64) -> Vec<Note> {
    let mut notes = Vec::new();
    for (provider, model) in named(plan) {
        let Some(server) = plan.providers.get(&provider).map(|it| it.server()) else { continue };
        let name = format!("{provider}/{model}");
        let (prices, _) = plan.terms_of(&provider, &model);
        let known = catalog::known(server, &model);
        let mut note = |what, said: String| notes.push(Note { model: name.clone(), what, said });
        match at(prices.as_deref(), now) {
            None => note("unpriced", "`prices` in the spec may say what it costs".to_owned()),
            Some(card) => {
                let below = known.as_ref().and_then(|known| known.prices.clone());
                if let Some((_, entry)) = overlay::find(&plan.prices, &provider, &model) {
                    match entry.from.as_deref().filter(|from| overlay::begins(from).is_some_and(|begins| begins > now)) {
                        Some(from) => note("later", format!("the price of the spec holds from {from} on")),
                        None => against(card, at(below.as_deref(), now), &mut note),
                    }
                }
            }
        }
        if let Some(day) = known.and_then(|known| known.entry.retires.clone())
            && overlay::begins(&day).is_some_and(|end| end <= now)
        {
            note("retired", format!("since {day}, the catalogue says"));
        }
    }
    notes
}

/// Compares a price of the spec with the catalogue's.
fn against(own: &RateCard, below: Option<&RateCard>, note: &mut impl FnMut(&'static str, String)) {
    let Some(below) = below else { return };
    if own == below {
        note("redundant", "the catalogue knows the same price".to_owned());
        return;
    }
    let different: Vec<String> =
        changes(Some(below), Some(own)).into_iter().map(|(meter, said): (Meter, _)| format!("{} {said}", meter.name())).collect();
    let said = if different.is_empty() { "in a tier or for long inputs".to_owned() } else { different.join(", ") };
    note("differs", format!("from the catalogue: {said}"));
}
