//! `rollback`: makes an older revision the live one again.

use serde_json::json;

use super::admin::Admin;
use super::changes::Changes;
use super::context::Context;
use super::deploy::{self, Proposal, Verdict};
use super::exit::CommandError;
use super::output::{Format, Outcome};
use super::settle::{Agreed, agree, done};
use super::{runtime, verdict};

/// Makes an older revision the live one again: shows what changes, asks, and waits until it serves.
///
/// It becomes a new revision with the old one's text; the history keeps both.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The revision, as `history` numbers it.
    #[arg(long, value_name = "NUMBER")]
    to: u64,
    /// Does not ask.
    #[arg(short, long)]
    yes: bool,
    /// Shows what would change, and stops.
    #[arg(long)]
    dry_run: bool,
    /// Why; kept in the history.
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl rollback --to 41
  bifrostctl rollback --to 41 --yes --reason \"42 sent everything to the dear model\"
  bifrostctl rollback --to 41 --dry-run";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let admin = context.admin()?;
    runtime::block_on(roll_back(args, context, &admin))
}

async fn roll_back(args: &Args, context: &mut Context<'_>, admin: &Admin) -> Result<Outcome, CommandError> {
    let proposal = Proposal::revision(args.to, deploy::signature(context, args.reason.as_deref(), None));
    let (base, said) = deploy::dry_run(admin, &proposal).await?;
    let (diff, warnings) = match said {
        Verdict::Unchanged { revision } => {
            let summary = format!("nothing to do: revision {revision} means what revision {} meant", args.to);
            return Ok(Outcome::ok(summary).result(json!({"outcome": "unchanged", "revision": revision})));
        }
        Verdict::Accepted { diff, warnings, .. } => (verdict::diff(&diff)?, warnings),
        said @ (Verdict::Stale { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            return Err(verdict::refusal(said, &base, None, context));
        }
    };
    let title = format!("Plan for live revision {} → revision {}", base.revision, args.to);
    let changes = Changes { diff: &diff, title: &title, new: None };
    let question = format!("Go from revision {} back to {}?", base.revision, args.to);
    let agreed = Agreed { yes: args.yes, dry_run: args.dry_run, gate: None, question: &question };
    if let Some(outcome) = agree(context, &changes, &warnings, agreed).await? {
        return Ok(outcome.result(json!({"outcome": "dry_run", "revision": base.revision, "diff": diff.json()})));
    }
    match deploy::commit(admin, &proposal, base.revision).await? {
        Verdict::Accepted { revision, .. } => done(context, admin, revision, &changes).await,
        Verdict::Unchanged { revision } => Ok(Outcome::ok(format!("revision {revision} means the same already"))
            .result(json!({"outcome": "unchanged", "revision": revision}))),
        said @ (Verdict::Stale { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            Err(verdict::refusal(said, &base, None, context))
        }
    }
}
