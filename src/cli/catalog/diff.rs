//! `catalog diff`: what a newer published file would change of what models cost.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::convert::published;
use super::used::{at, changes, named, spec, vendors};
use crate::catalog::convert::{Converted, convert};
use crate::catalog::{Known, Origin, PriceList, RateCard, Vendor, catalogue, model, vendor};
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output::Outcome;
use crate::cli::table_text::{count, table};

/// Shows what a newer file of genai-prices or LiteLLM would change of what models cost today. Nothing is fetched.
///
/// Looks at the models that the spec asks for or, with --all and without a spec, at all that the catalogue knows. A price is compared
/// with the file of the project that it is from.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    newer: Newer,
    /// Exits with 2 when there are differences.
    #[arg(long)]
    exit_code: bool,
}

/// The files to compare with.
#[derive(Debug, clap::Args)]
pub(super) struct Newer {
    /// A file that genai-prices (`prices/data.json`) or LiteLLM (`model_prices_and_context_window.json`) publishes; repeatable.
    #[arg(long, value_name = "FILE", required = true)]
    from: Vec<PathBuf>,
    /// Looks at every model of the catalogue's vendors, not only at those that the spec asks for.
    #[arg(long)]
    pub(super) all: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog diff --from prices.json
  bifrostctl catalog diff --from prices.json --from litellm.json --all
  bifrostctl catalog diff --from prices.json --exit-code -o json";

/// A model whose price is another one in the newer files.
pub(super) struct Change {
    /// The provider of the spec, or the vendor where the spec does not matter.
    pub(super) provider: String,
    /// The model.
    pub(super) model: String,
    pub(super) before: Option<RateCard>,
    pub(super) after: RateCard,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let changes = compared(&args.newer, context)?;
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for change in &changes {
        let name = format!("{}/{}", change.provider, change.model);
        let rates = self::changes(change.before.as_ref(), Some(&change.after));
        if rates.is_empty() {
            rows.push(vec![name.clone(), "other rates".to_owned(), "in a tier, for long inputs or at certain hours".to_owned()]);
        }
        rows.extend(rates.iter().map(|(meter, said)| vec![name.clone(), meter.name().to_owned(), said.clone()]));
        let rates: Vec<Value> = rates.iter().map(|(meter, said)| json!({"meter": meter.name(), "change": said})).collect();
        list.push(json!({"model": name, "rates": rates, "new": change.before.is_none()}));
    }
    let exit = if args.exit_code && !changes.is_empty() { Exit::Differences } else { Exit::Ok };
    let summary = match changes.len() {
        0 => "nothing differs".to_owned(),
        some => format!("{} would cost something else", count(some, "model")),
    };
    Ok(Outcome::ok(summary).text(table(&rows)).result(json!({"differences": list})).exit(exit))
}

/// Compares what models cost now with what they would by newer files.
pub(super) fn compared(newer: &Newer, context: &mut Context<'_>) -> Result<Vec<Change>, CommandError> {
    let now = context.io.clock.unix_ms();
    let mut files = Vec::new();
    for path in &newer.from {
        files.push(published(path, "new", "now", context)?);
    }
    let origins: Vec<Origin> = files.iter().map(|file| file.origin).collect();
    let fresh = convert(&files, now);
    let spec = spec(context)?.map(|(_, checked)| checked.plan);
    let models: Vec<(String, &str, String)> = match (&spec, newer.all) {
        (Some(plan), all) => {
            let served = vendors(plan);
            let own = named(plan).into_iter().filter_map(|(provider, model)| Some((served.get(&provider).copied()?, provider, model)));
            let mut models: Vec<_> = own.map(|(vendor, provider, model)| (provider, vendor, model)).collect();
            if all {
                models =
                    served.iter().flat_map(|(provider, vendor)| every(&fresh, vendor).map(|id| (provider.clone(), *vendor, id))).collect();
            }
            models
        }
        (None, true) => {
            catalogue().vendors.keys().flat_map(|vendor| every(&fresh, vendor).map(|id| (vendor.clone(), vendor.as_str(), id))).collect()
        }
        (None, false) => {
            return Err(CommandError::usage("there is no spec here whose models could be compared")
                .hint("--all compares every model of the catalogue"));
        }
    };
    let change = |(provider, vendor, model): (String, &str, String)| {
        let fresh = fresh.catalogue.vendors.get(vendor)?;
        let (before, after) = both(vendor, fresh, &model, &origins)?;
        let (before, after) = (at(before.as_deref(), now).cloned(), at(after.as_deref(), now).cloned()?);
        (before.as_ref() != Some(&after)).then_some(Change { provider, model, before, after })
    };
    Ok(models.into_iter().filter_map(change).collect())
}

fn every<'f>(fresh: &'f Converted, vendor: &str) -> impl Iterator<Item = String> + 'f {
    fresh
        .catalogue
        .vendors
        .get(vendor)
        .into_iter()
        .flat_map(|vendor| vendor.entries.iter())
        .filter(|entry| !entry.rows.is_empty())
        .map(crate::catalog::Entry::request_name)
}

/// The prices of one model: now, and by newer files.
type Both = (Option<Arc<PriceList>>, Option<Arc<PriceList>>);

/// Returns both prices of a model; none where the newer files are not of the project that says what it costs.
fn both(vendor_name: &str, fresh: &Vendor, name: &str, origins: &[Origin]) -> Option<Both> {
    let entry = fresh.find(name)?;
    let known: Option<Known> = model(vendor_name, name);
    let held = known.as_ref().and_then(|known| vendor(vendor_name)?.1.priced(known.entry).origin);
    if held.is_some_and(|origin| !origins.contains(&origin)) {
        return None;
    }
    // What only LiteLLM's file would price is not news where genai-prices' own file is not at hand.
    if held.is_none() && fresh.priced(entry).origin == Some(Origin::Litellm) && !origins.contains(&Origin::GenaiPrices) {
        return None;
    }
    Some((known.and_then(|known| known.prices), fresh.prices(entry)))
}
