//! `budget reset`: sets a budget back to nothing.

use serde_json::{Value, json};

use crate::base::visible;
use crate::cli::admin::Call;
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::{deploy, prompt, runtime};

/// Sets what was spent in a budget's running window back to nothing, with a reason that stays in the book.
///
/// The lines stay, and so does what `spend` shows; an adjustment is booked against them. What still runs is charged when it ends. Budgets of
/// one key or team share what it spent: setting one back helps the others.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// A budget as `budget status` names it, or an account (key:NAME, team:NAME) for all on it.
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
    let name = visible(&args.name);
    let admin = context.admin()?;
    runtime::block_on(async {
        agree(args, &name, context).await?;
        let mut body = deploy::signature(context, Some(&args.reason), None);
        body.insert("budget".to_owned(), json!(args.name));
        let answer = admin.send(Call::post("/v1/budgets/reset", Value::Object(body))).await?;
        if answer.code() == "no_such_budget" {
            return Err(CommandError::failure(format!("no budget `{name}` limits a key of the running spec"))
                .hint("`bifrostctl budget status` lists those that do"));
        }
        let result = answer.success()?;
        let cleared = result.get("cleared").and_then(Value::as_str).unwrap_or("-");
        Ok(Outcome::ok(format!("{name} is back at nothing; {cleared} was taken off")).result(result))
    })
}

async fn agree(args: &Args, name: &str, context: &mut Context<'_>) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    if !context.can_ask() {
        return Err(CommandError::usage("this changes what a budget spent, and nobody can be asked here").hint("agree to it with --yes"));
    }
    if prompt::confirm(context, &format!("Set {name} back to nothing?")).await {
        return Ok(());
    }
    Err(CommandError::failure("nothing was changed"))
}
