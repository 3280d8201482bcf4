//! `history`: the revisions that a gateway has served.

use serde_json::Value;

use super::admin::Call;
use super::context::Context;
use super::exit::CommandError;
use super::output::{Format, Outcome};
use super::{runtime, table_text};

/// Lists the revisions that the gateway has accepted, newest first.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl history
  bifrostctl history -n 5 -o json | jq -r '.result.revisions[].digest'";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let admin = context.admin()?;
    let mut answer = runtime::block_on(async { admin.send(Call::get("/v1/revisions")).await?.success() })?;
    if let Some(revisions) = answer.get_mut("revisions").and_then(Value::as_array_mut) {
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.get("number").and_then(Value::as_u64)));
        revisions.truncate(args.limit);
    }
    Ok(Outcome::ok("").text(human(&answer)).result(answer))
}

fn human(answer: &Value) -> String {
    let mut rows = vec![["REVISION", "TIME", "BY", "ACTOR", "COMMIT", "DIGEST", "WHAT"].map(str::to_owned).to_vec()];
    for revision in answer.get("revisions").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| revision.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let short = |name: &str| text(name).chars().take(12).collect::<String>();
        let number = revision.get("number").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |number| number.to_string());
        let what = match revision.get("reason").and_then(Value::as_str).filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{} ({reason})", text("summary")),
            None => text("summary"),
        };
        // The mark of uncommitted changes matters more than the rest of the commit.
        let dirty = if text("git_commit").ends_with("-dirty") { "-dirty" } else { "" };
        let commit = format!("{}{dirty}", short("git_commit"));
        rows.push(vec![number, text("created"), text("trigger"), text("actor"), commit, short("digest"), what]);
    }
    table_text::table(&rows)
}
