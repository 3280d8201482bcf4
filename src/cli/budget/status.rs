//! `budget status`: where budgets stand, and what each account spent.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::visible;
use crate::cli::admin::Call;
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::{runtime, spend, table_text};
use crate::store::book::told;

/// Shows where each budget stands, what each account ever spent, adjustments included, and whether the gateway can write its book.
///
/// An account is `key:NAME` or `team:NAME` for budgets of its own, `budget:NAME` for a shared one.
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
    let mut text = budgets(status);
    if !text.is_empty() {
        text.push('\n');
    }
    let mut rows = vec![["ACCOUNT", "SPENT", "ADJUSTED"].map(str::to_owned).to_vec()];
    for account in accounts(status) {
        let text = |member: &str| account.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
        let adjusted = text("adjusted");
        let adjusted = if adjusted == "$0" { String::new() } else { adjusted };
        rows.push(vec![visible(&text("account")), text("spent"), adjusted]);
    }
    text.push_str(&table_text::table(&rows));
    text
}

/// Lays out where budgets stand; empty without a gateway, which alone knows them.
fn budgets(status: &Value) -> String {
    let budgets = status.get("budgets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if budgets.is_empty() {
        return String::new();
    }
    let members = ["budget", "limit", "spent", "held", "left", "mode", "ends"];
    let mut rows = vec![members.iter().map(|member| member.to_uppercase()).collect::<Vec<_>>()];
    let text = |budget: &Value, member: &str| budget.get(member).and_then(Value::as_str).map_or_else(|| "-".to_owned(), visible);
    rows.extend(budgets.iter().map(|budget| members.iter().map(|member| text(budget, member)).collect()));
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
