//! `budget reset`: sets an account back to nothing.

use serde_json::{Value, json};

use crate::base::visible;
use crate::cli::admin::Call;
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::{deploy, prompt, runtime};

/// Sets what an account spent back to nothing, with a reason that stays in the book.
///
/// The lines stay, and so does what `spend` shows; an adjustment is booked against them. What still runs is charged when it ends.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shared budget, or the account: key:NAME, team:NAME, budget:NAME.
    #[arg(value_name = "NAME")]
    name: String,
    /// Why; kept in the book.
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: String,
    /// Does not ask.
    #[arg(short, long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl budget reset growth-monthly --reason \"agreed with finance\"
  bifrostctl budget reset key:web-app --yes --reason \"load test\"";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    if args.reason.trim().is_empty() {
        return Err(CommandError::usage("--reason says why, in words"));
    }
    let account = if args.name.contains(':') { args.name.clone() } else { format!("budget:{}", args.name) };
    let admin = context.admin()?;
    runtime::block_on(async {
        agree(args, &account, context).await?;
        let mut body = deploy::signature(context, Some(&args.reason), None);
        body.insert("account".to_owned(), json!(account));
        let answer = admin.send(Call::post("/v1/budgets/reset", Value::Object(body))).await?;
        if answer.code() == "no_such_account" {
            return Err(CommandError::failure(format!("nothing was ever booked on {}", visible(&account)))
                .hint("`bifrostctl budget status` lists the accounts"));
        }
        let result = answer.success()?;
        let cleared = result.get("cleared").and_then(Value::as_str).unwrap_or("-");
        Ok(Outcome::ok(format!("{} is back at nothing; {cleared} was taken off", visible(&account))).result(result))
    })
}

async fn agree(args: &Args, account: &str, context: &mut Context<'_>) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    if !context.can_ask() {
        return Err(CommandError::usage("this changes what a budget spent, and nobody can be asked here").hint("agree to it with --yes"));
    }
    if prompt::confirm(context, &format!("Set {} back to nothing?", visible(account))).await {
        return Ok(());
    }
    Err(CommandError::failure("nothing was changed"))
}
