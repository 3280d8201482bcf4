//! `budget status`: what each account spent.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::visible;
use crate::cli::admin::Call;
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::{runtime, spend, table_text};
use crate::store::book::told;

/// Shows what each account spent, adjustments included, and whether the gateway can write its book.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Reads this state directory itself, whether or not a gateway runs.
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint")]
    state: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl budget status
  bifrostctl budget status -o json | jq -r '.result.accounts[] | [.account, .spent] | @tsv'
  bifrostctl budget status --state .bifrost                     # without a running gateway";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let status = match &args.state {
        Some(state) => {
            let report = spend::open(state)?;
            let accounts = report.accounts(0..u64::MAX).map_err(|error| CommandError::failure(error.to_string()))?;
            json!({"accounts": told::accounts(&accounts)})
        }
        None => {
            let admin = context.admin()?;
            runtime::block_on(async { admin.send(Call::get("/v1/budgets")).await?.success() })?
        }
    };
    Ok(Outcome::ok(summary(&status)).text(human(&status)).result(status))
}

fn accounts(status: &Value) -> impl Iterator<Item = &Value> {
    status.get("accounts").and_then(Value::as_array).into_iter().flatten()
}

fn human(status: &Value) -> String {
    let mut rows = vec![["ACCOUNT", "SPENT", "ADJUSTED"].map(str::to_owned).to_vec()];
    for account in accounts(status) {
        let text = |member: &str| account.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
        let adjusted = text("adjusted");
        let adjusted = if adjusted == "$0" { String::new() } else { adjusted };
        rows.push(vec![visible(&text("account")), text("spent"), adjusted]);
    }
    table_text::table(&rows)
}

/// Says what keeps the book from being written; nothing when all is well.
fn summary(status: &Value) -> String {
    match status.pointer("/book/failure/why").and_then(Value::as_str) {
        Some(why) => format!("the gateway cannot write its book: {why}"),
        None if accounts(status).next().is_none() => "nothing was ever spent".to_owned(),
        None => String::new(),
    }
}
