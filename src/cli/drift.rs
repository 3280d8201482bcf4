//! `drift`: whether the file here, the gateway's own files, what was last applied and what runs are one.
//!
//! Rule: it only looks. Exits with 2 where any of them differs.

use serde_json::{Map, Value, json};

use super::admin::{Admin, Call};
use super::changes::Changes;
use super::context::Context;
use super::deploy::{self, Proposal, Verdict};
use super::exit::{CommandError, Exit};
use super::input::{Bundle, NoEnvironment, Source, refused};
use super::output::{Format, Outcome, Paint, color};
use super::table_text;
use super::{runtime, verdict};
use crate::base::visible;

/// Shows where the spec here, what was last applied and what runs disagree. Exits with 2 where they do.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Examples:
  bifrostctl drift                                    # nightly, in CI, on the main branch
  bifrostctl drift -o human -o markdown=drift.md
  bifrostctl drift -o json | jq .result.agree";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Github, Format::Markdown];

/// One of the things that should be one.
struct Side {
    what: &'static str,
    agrees: bool,
    /// How it stands, in words.
    told: String,
}

pub(super) fn run(_: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let admin = context.admin()?;
    let bundle = Bundle::new(&checked.loaded.sources, &source.paths);
    let proposal = Proposal::spec(&bundle, Map::new());
    let (base, said, status, revisions) = runtime::block_on(async {
        let (base, said) = deploy::dry_run(&admin, &proposal).await?;
        let (status, revisions) = (read(&admin, "/v1/status").await?, read(&admin, "/v1/revisions").await?);
        Ok((base, said, status, revisions))
    })?;
    let (value, refusal) = match said {
        Verdict::Unchanged { .. } => (None, None),
        Verdict::Accepted { diff, .. } => (Some(diff), None),
        Verdict::Refused { code, message, .. } if code == "needs_restart" => (None, Some(message)),
        said @ (Verdict::Refused { .. } | Verdict::Stale { .. } | Verdict::Invalid { .. }) => {
            return Err(verdict::refusal(said, &base, Some(&checked.loaded), context));
        }
    };
    let diff = value.as_ref().map(verdict::diff).transpose()?.filter(|diff| !diff.is_empty());
    let here = Side {
        what: "file here",
        agrees: diff.is_none() && refusal.is_none(),
        told: match (&diff, &refusal) {
            (Some(diff), _) => format!("{} differs from live revision {}: {}", source.name(), base.revision, diff.summary()),
            (None, Some(_)) => format!("{} differs from live revision {} in what needs a restart", source.name(), base.revision),
            (None, None) => format!("{} means what live revision {} means", source.name(), base.revision),
        },
    };
    let sides = [here, own_files(&status), applied(&revisions, &base.digest)];
    let title = format!("Plan for live revision {} → {}", base.revision, source.name());
    let changes = diff.as_ref().map(|diff| Changes { diff, title: &title, new: Some(&checked.loaded) });
    Ok(outcome(context, &sides, changes.as_ref(), base.revision))
}

async fn read(admin: &Admin, path: &str) -> Result<Value, CommandError> {
    admin.send(Call::get(path)).await?.success()
}

/// Whether the gateway's own files are what it runs.
fn own_files(status: &Value) -> Side {
    let agrees = status.get("sync").and_then(Value::as_str) != Some("out_of_sync");
    let paths = status.get("spec_paths").and_then(Value::as_array).into_iter().flatten();
    let paths = visible(&paths.filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    let told = match agrees {
        true => format!("{paths} is live"),
        false => format!("{paths} is not what is live: see `bifrostctl status`"),
    };
    Side { what: "gateway's file", agrees, told }
}

/// Whether what was last applied is what runs. Where nothing was ever applied, files are the only way in, and there is nothing to compare.
fn applied(revisions: &Value, live: &str) -> Side {
    let all = revisions.get("revisions").and_then(Value::as_array).into_iter().flatten();
    let text = |revision: &Value, name: &str| visible(revision.get(name).and_then(Value::as_str).unwrap_or("-"));
    let number = |revision: &Value| revision.get("number").and_then(Value::as_u64).unwrap_or_default();
    let is_applied = |revision: &&Value| matches!(revision.get("trigger").and_then(Value::as_str), Some("apply" | "rollback"));
    let last = all.filter(is_applied).max_by_key(|revision| number(revision));
    let what = "last applied";
    let Some(last) = last else {
        return Side { what, agrees: true, told: "nothing was ever applied: files are the only way in".to_owned() };
    };
    let agrees = text(last, "digest") == live;
    let by = format!("revision {} by {} at {}", number(last), text(last, "actor"), text(last, "created"));
    let told = if agrees { format!("{by} is live") } else { format!("{by} is not live: the gateway's files were changed since") };
    Side { what, agrees, told }
}

fn outcome(context: &Context<'_>, sides: &[Side], changes: Option<&Changes<'_>>, revision: u64) -> Outcome {
    let color = color(context.global.color, context.io.terminal.stdout, context.io);
    let paint = Paint(color);
    let agree = sides.iter().all(|side| side.agrees);
    let row = |side: &Side| {
        let word = if side.agrees { paint.green("same") } else { paint.red("differs") };
        vec![side.what.to_owned(), word, side.told.clone()]
    };
    let mut text = table_text::table(&sides.iter().map(row).collect::<Vec<_>>());
    text.extend(changes.map(|changes| format!("\n{}", changes.human(color))));
    let mut details = changes.map(Changes::details).unwrap_or_default();
    let lines: String = sides
        .iter()
        .map(|side| format!("| {} | {} | {} |\n", side.what, if side.agrees { "same" } else { "**differs**" }, cell(&side.told)))
        .collect();
    let below = details.renditions.get(&Format::Markdown).cloned().unwrap_or_default();
    details.renditions.insert(Format::Markdown, format!("| | | |\n|---|---|---|\n{lines}\n{below}"));
    let told: Map<String, Value> =
        sides.iter().map(|side| (side.what.replace([' ', '\''], "_"), json!({"agrees": side.agrees, "told": side.told}))).collect();
    let result = json!({"agree": agree, "revision": revision, "sides": told, "diff": changes.map(|changes| changes.diff.json())});
    let summary = if agree { format!("no drift: revision {revision} is what everybody says") } else { "drift".to_owned() };
    let exit = if agree { Exit::Ok } else { Exit::Differences };
    let outcome = Outcome::ok(summary).text(text).result(result).details(details).exit(exit);
    if agree { outcome } else { outcome.hint("`bifrostctl apply` makes the file here live; `bifrostctl history` says who changed what") }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
