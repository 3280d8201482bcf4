//! `catalog update`: newer prices as entries of `prices`, to be reviewed and included.

use serde_json::{Map, Value, json};

use super::diff::{Newer, compared};
use super::used::entry_of;
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::table_text::count;
use crate::spec;

/// Prints what models cost by a newer file of genai-prices or LiteLLM, where that is not what the embedded catalogue says, as a part of
/// the spec: a file to review, commit and `include`. Nothing is fetched.
///
/// Only today's prices are written, those of models that the spec asks for or, with --all, of all models of its providers.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    newer: Newer,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog update --from prices.json > prices.yaml    # then `include: [prices.yaml]` in the spec
  bifrostctl catalog update --from prices.json --from litellm.json --all";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let changes = compared(&args.newer, context)?;
    let mut prices = Map::new();
    let mut left = Vec::new();
    for change in changes {
        let name = format!("{}/{}", change.provider, change.model);
        match entry_of(&change.after) {
            Some(entry) => drop(prices.insert(name, entry)),
            None => left.push(name),
        }
    }
    if prices.is_empty() {
        return Ok(Outcome::ok("nothing to update").result(json!({"prices": {}, "left": left})));
    }
    let summary = format!("{} to review", count(prices.len(), "price"));
    let text = spec::to_yaml(&json!({"prices": Value::Object(prices.clone())}));
    let mut outcome = Outcome::ok(summary).text(text).result(json!({"prices": prices, "left": left}));
    for name in left {
        outcome = outcome.hint(format!("`{name}` has a price that an entry of `prices` cannot say, and is left out"));
    }
    Ok(outcome)
}
