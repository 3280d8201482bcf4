//! `budget audit`: whether the balances are the sums of the lines.

use std::path::PathBuf;

use serde_json::Value;

use crate::base::visible;
use crate::cli::admin::Call;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output::Outcome;
use crate::cli::{runtime, spend, table_text};
use crate::store::book::told;

/// Adds every line of the book up again and compares that with the balances that budgets go by; lets the database check its file.
///
/// Ends with 1 where anything differs.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Reads this state directory itself, whether or not a gateway runs.
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint")]
    state: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl budget audit
  bifrostctl budget audit --state .bifrost                      # without a running gateway";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let audit = match &args.state {
        Some(state) => {
            let mut report = spend::open(state)?;
            told::audit(&report.audit().map_err(|error| CommandError::failure(error.to_string()))?)
        }
        None => {
            let admin = context.admin()?;
            runtime::block_on(async { admin.send(Call::get("/v1/budgets/audit")).await?.success() })?
        }
    };
    let number = |member: &str| audit.get(member).and_then(Value::as_u64).unwrap_or_default();
    let damage: Vec<&str> = audit.get("damage").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let folded = match number("folded") {
        0 => String::new(),
        sums => format!("{sums} sums of older ones, "),
    };
    let what = format!(
        "{} lines, {folded}{} adjustments, {} balances, {} open",
        number("lines"),
        number("adjustments"),
        number("balances"),
        number("open")
    );
    let outcome = match (number("different"), damage.is_empty()) {
        (0, true) => Outcome::ok(format!("the book adds up: {what}")),
        (0, false) => Outcome::ok(format!("the book's file is damaged: {what}")).exit(Exit::Failure),
        (different, _) => Outcome::ok(format!("the book does not add up: {different} balances differ; {what}")).exit(Exit::Failure),
    };
    Ok(outcome.text(human(&audit, &damage)).result(audit))
}

fn human(audit: &Value, damage: &[&str]) -> String {
    let differences: Vec<&Value> = audit.get("differences").and_then(Value::as_array).into_iter().flatten().collect();
    let mut text: String = damage.iter().map(|said| format!("{said}\n")).collect();
    if differences.is_empty() {
        return text;
    }
    let mut rows = vec![["ACCOUNT", "FROM", "LINES", "BALANCE", "DIFFERENCE"].map(str::to_owned).to_vec()];
    for difference in differences {
        let text = |member: &str| difference.get(member).and_then(Value::as_str).map_or_else(|| "-".to_owned(), visible);
        rows.push(["account", "from", "lines", "balance", "difference"].map(text).to_vec());
    }
    text.push_str(&table_text::table(&rows));
    text
}
