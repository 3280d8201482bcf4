//! `apply`: proposes the spec to the running gateway and waits until it serves.
//!
//! Rule: nothing is applied that was not shown. The base is the revision that the difference was made for; if another one is live by
//! then, nothing happens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::admin::Admin;
use super::changes::{Changes, removed, totals};
use super::context::Context;
use super::deploy::{self, Kept, Proposal, Verdict};
use super::exit::{CommandError, Exit};
use super::guard::{self, Answers, Guard};
use super::input::{Bundle, NoEnvironment, Source, check, refused};
use super::output::{Format, Outcome};
use super::saved::SavedPlan;
use super::settle::{Agreed, agree, done};
use super::{runtime, verdict};
use crate::plan::diff::Diff;
use crate::spec::{Inputs, Loaded, Memory};

/// Applies the spec to the running gateway: checks it, shows what changes, asks, and waits until the new revision serves.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// A plan that `diff --out` saved: what was reviewed is applied, or nothing. Without one, the spec.
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// Does not ask.
    #[arg(short, long)]
    yes: bool,
    /// Shows what would change, and stops.
    #[arg(long)]
    dry_run: bool,
    /// Why; kept in the history.
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: Option<String>,
    /// How much may be removed at once: a share of any kind of entry, or a number over all. One entry of a kind may always be removed,
    /// unless it is the last provider, model or key.
    #[arg(long, value_name = "SHARE|NUMBER", default_value = "20%")]
    max_deletes: MaxDeletes,
    /// Removes as much as the spec says.
    #[arg(long, conflicts_with = "max_deletes")]
    allow_destroy: bool,
    /// Goes back to the revision before when more than a share of the answers within a time are errors (5xx), and exits with 6.
    #[arg(long, value_name = "errors>SHARE/TIME")]
    auto_rollback: Option<Guard>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl apply
  bifrostctl apply -f gateway.yaml -f env/prod.yaml --yes --reason \"more groq\"
  bifrostctl apply --dry-run -o json | jq .changes
  bifrostctl apply gateway.plan --yes --auto-rollback \"errors>5%/2m\"";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// How much may be removed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MaxDeletes {
    /// Percent of a kind.
    Share(usize),
    /// Entries.
    Number(usize),
}

impl FromStr for MaxDeletes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a share such as `20%`, or a number".to_owned();
        match text.strip_suffix('%') {
            Some(share) => share.parse().ok().filter(|share| *share <= 100).map(Self::Share).ok_or_else(expected),
            None => text.parse().map(Self::Number).map_err(|_| expected()),
        }
    }
}

impl MaxDeletes {
    /// Says what is too much, if anything is.
    fn judge(self, removed: &BTreeMap<&'static str, usize>, totals: &BTreeMap<&'static str, usize>, diff: &Diff) -> Option<String> {
        let said = |kind: &str, gone: usize, of: usize| format!("{gone} of {of} {} would be removed", kind.replace('_', " "));
        match self {
            Self::Number(most) => {
                let all: usize = removed.values().sum();
                (all > most).then(|| format!("{all} entries would be removed, over --max-deletes {most}"))
            }
            Self::Share(most) => removed.iter().find_map(|(kind, gone)| {
                let of = totals.get(kind).copied().unwrap_or_default().max(*gone);
                let over = *gone > 1 && gone * 100 > of * most;
                let last = *gone == of && matches!(*kind, "providers" | "models" | "virtual_keys") && !is_replaced(kind, diff);
                match (last, over) {
                    (true, _) => Some(format!("{}, and none is left", said(kind, *gone, of))),
                    (false, true) => Some(format!("{}, over --max-deletes {most}%", said(kind, *gone, of))),
                    (false, false) => None,
                }
            }),
        }
    }
}

/// Returns whether entries of a kind are added, too.
fn is_replaced(kind: &str, diff: &Diff) -> bool {
    let added = diff.changes.iter().filter(|change| change.action == crate::plan::diff::Action::Added);
    added.filter_map(|change| change.pointer.strip_prefix('/')?.strip_prefix(kind)?.strip_prefix('/')).any(|name| !name.contains('/'))
}

/// What is to be applied.
struct Wanted {
    /// As a person would name it.
    name: String,
    loaded: Loaded,
    proposal: Proposal,
    /// What it must be, where it was reviewed.
    pinned: Option<SavedPlan>,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let wanted = match &args.plan {
        Some(path) => of_plan(path, args, context)?,
        None => of_spec(args, context)?,
    };
    let admin = context.admin()?;
    runtime::block_on(propose(args, context, &admin, &wanted))
}

fn of_spec(args: &Args, context: &mut Context<'_>) -> Result<Wanted, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let bundle = Bundle::new(&checked.loaded.sources, &source.paths);
    let signature = deploy::signature(context, args.reason.as_deref(), source.commit(&checked.loaded));
    Ok(Wanted { name: source.name(), loaded: checked.loaded, proposal: Proposal::spec(&bundle, signature), pinned: None })
}

fn of_plan(path: &Path, args: &Args, context: &mut Context<'_>) -> Result<Wanted, CommandError> {
    if !context.global.file.is_empty() || context.global.env.is_some() {
        return Err(CommandError::usage("a saved plan holds its spec").hint("leave out -f and --env, or the plan"));
    }
    let plan = SavedPlan::read(path, context)?;
    let bundle = plan.bundle();
    let files = Memory(bundle.files.iter().map(|(path, text)| (PathBuf::from(path), text.clone().into_bytes())).collect());
    let paths: Vec<PathBuf> = bundle.paths.iter().map(PathBuf::from).collect();
    let name = path.display().to_string();
    let inputs = Inputs { files: &files, paths: &paths, env: &NoEnvironment, strict_env: false };
    let checked = check(&inputs).map_err(|rejected| refused(&name, &rejected, context))?;
    let signature = deploy::signature(context, args.reason.as_deref(), plan.git_commit.clone());
    Ok(Wanted { name, loaded: checked.loaded, proposal: Proposal::spec(&bundle, signature), pinned: Some(plan) })
}

async fn propose(args: &Args, context: &mut Context<'_>, admin: &Admin, wanted: &Wanted) -> Result<Outcome, CommandError> {
    let Wanted { name, loaded, proposal, .. } = wanted;
    let (base, said) = deploy::dry_run(admin, proposal).await?;
    let (value, warnings) = match said {
        Verdict::Unchanged { revision } => {
            let summary = format!("nothing to apply: revision {revision} means what {name} means");
            return Ok(Outcome::ok(summary).result(json!({"outcome": "unchanged", "revision": revision})));
        }
        Verdict::Accepted { diff, warnings, .. } => (diff, warnings),
        said @ (Verdict::Stale { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            return Err(verdict::refusal(said, &base, Some(loaded), context));
        }
    };
    let diff = verdict::diff(&value)?;
    let title = format!("Plan for live revision {} → {name}", base.revision);
    let changes = Changes { diff: &diff, title: &title, new: Some(loaded) };
    if let Some(moved) = wanted.pinned.as_ref().and_then(|pinned| moved(pinned, &base, &value)) {
        return Err(moved.details(verdict::shown(&changes, context)));
    }
    // Better told before anybody agrees than after.
    counted(args, admin).await?;
    let gate = gate(args, &base, &diff);
    let question = format!("Apply this to revision {}?", base.revision);
    let agreed = Agreed { yes: args.yes, dry_run: args.dry_run, gate, question: &question };
    if let Some(outcome) = agree(context, &changes, &warnings, agreed).await? {
        return Ok(outcome.result(json!({"outcome": "dry_run", "revision": base.revision, "diff": diff.json()})));
    }
    // What clients got while somebody thought about it is no fault of the new revision's.
    let before = counted(args, admin).await?;
    match deploy::commit(admin, proposal, base.revision).await? {
        Verdict::Accepted { revision, .. } => {
            let outcome = done(context, admin, revision, &changes).await?;
            match (args.auto_rollback, before) {
                (Some(guard), Some(before)) => watched(context, admin, (guard, before), (base.revision, revision), outcome).await,
                _ => Ok(outcome),
            }
        }
        Verdict::Unchanged { revision } => {
            Ok(Outcome::ok(format!("revision {revision} had all of it already"))
                .result(json!({"outcome": "unchanged", "revision": revision})))
        }
        said @ (Verdict::Stale { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            Err(verdict::refusal(said, &base, Some(loaded), context))
        }
    }
}

/// Asks what clients were answered so far, where that is to be watched.
async fn counted(args: &Args, admin: &Admin) -> Result<Option<Answers>, CommandError> {
    match args.auto_rollback {
        Some(_) => guard::answers(admin).await.map(Some),
        None => Ok(None),
    }
}

/// Says why a plan is no longer what was reviewed.
fn moved(plan: &SavedPlan, base: &Kept, diff: &Value) -> Option<CommandError> {
    let is_base = plan.base.revision == base.revision && plan.base.digest == base.digest;
    if is_base && same_changes(&plan.diff, diff) {
        return None;
    }
    let message = match (is_base, plan.base.revision == base.revision) {
        (true, _) => format!("in revision {}, the plan now changes something else than what was reviewed", base.revision),
        (false, true) => format!("the live revision {} is not the {0} that the plan was made for: is it another gateway?", base.revision),
        (false, false) => format!("the live revision is now {}; the plan was made for {}", base.revision, plan.base.revision),
    };
    Some(CommandError::new(Exit::Conflict, message).hint("look at what now differs, and save a new plan with `bifrostctl diff --out`"))
}

/// Returns whether two diffs change the same. What is said about a change may differ: more may be spent by now.
fn same_changes(a: &Value, b: &Value) -> bool {
    let told = |diff: &Value| -> Option<Vec<Value>> {
        let changes = diff.get("changes")?.as_array()?.iter();
        Some(
            changes.map(|change| json!([change.get("pointer"), change.get("action"), change.get("before"), change.get("after")])).collect(),
        )
    };
    told(a).is_some_and(|a| told(b) == Some(a))
}

/// Watches what clients get, and goes back when it is errors.
async fn watched(
    context: &mut Context<'_>,
    admin: &Admin,
    (guard, before): (Guard, Answers),
    (base, revision): (u64, u64),
    outcome: Outcome,
) -> Result<Outcome, CommandError> {
    context.note(&format!("revision {revision} serves; watching it ({guard})"));
    let held = guard::watch(admin, guard, before).await.map_err(|error| {
        let message = format!("revision {revision} was applied, and could not be watched to the end: {}", error.message);
        CommandError { message, ..error }.hint(format!("`bifrostctl rollback --to {base}` takes it back"))
    })?;
    if !held.failed {
        let summary = format!("{}; it holds: {}", outcome.summary, held.since);
        return Ok(Outcome { summary, ..outcome });
    }
    let reason = format!("auto-rollback of {revision} ({guard}): {}", held.since);
    let proposal = Proposal::revision(base, deploy::signature(context, Some(&reason), None));
    let unreachable = |error: CommandError| {
        let message = format!("revision {revision} failed ({}), and could not be taken back: {}", held.since, error.message);
        CommandError { message, ..error }.hint(format!("`bifrostctl rollback --to {base}` does it by hand"))
    };
    let message = match deploy::commit(admin, &proposal, revision).await.map_err(unreachable)? {
        Verdict::Accepted { revision: back, .. } => {
            let live = deploy::serves(admin, back, context.global.timeout.get()).await?;
            format!("revision {revision} was taken back: {}; revision {live}, which is {base} again, serves", held.since)
        }
        Verdict::Stale { revision: live, .. } => {
            return Err(CommandError::new(
                Exit::Conflict,
                format!("revision {revision} failed ({}), but by now {live} serves: nothing was taken back", held.since),
            ));
        }
        said @ (Verdict::Unchanged { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            let told = match said {
                Verdict::Invalid { message, .. } | Verdict::Refused { message, .. } => message,
                Verdict::Unchanged { .. } | Verdict::Accepted { .. } | Verdict::Stale { .. } => "it means what it meant before".to_owned(),
            };
            return Err(CommandError::failure(format!(
                "revision {revision} failed ({}), and revision {base} cannot be had back: {told}",
                held.since
            ))
            .hint("`bifrostctl history` lists what `rollback --to N` can go back to"));
        }
    };
    Err(CommandError::new(Exit::Rejected, message).hint("the access log names what failed"))
}

fn gate(args: &Args, base: &Kept, diff: &Diff) -> Option<CommandError> {
    if args.allow_destroy {
        return None;
    }
    let said = args.max_deletes.judge(&removed(diff), &totals(&base.plan), diff)?;
    Some(
        CommandError::new(Exit::Risk, said)
            .hint("if that is meant, allow it with --allow-destroy, or raise --max-deletes")
            .hint("is an overlay or an include missing on the command line?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(removed: &[&str], added: &[&str]) -> Diff {
        let change = |pointer: &str, action: &str| json!({"pointer": pointer, "path": pointer, "action": action, "summary": action, "impact": "live", "risk": "high"});
        let changes: Vec<Value> =
            removed.iter().map(|pointer| change(pointer, "removed")).chain(added.iter().map(|pointer| change(pointer, "added"))).collect();
        Diff::from_json(&json!({"version": 1, "changes": changes})).unwrap()
    }

    fn judged(most: &str, gone: &[&str], added: &[&str]) -> Option<String> {
        let plan = json!({"providers": {"a": 1, "b": 1}, "models": {"m": 1}, "virtual_keys": {"k": 1, "l": 1, "m": 1, "n": 1, "o": 1},
            "budgets": {"a": 1, "b": 1}, "prices": {"a/b": 1, "a/*": 1, "c/d": 1, "e/f": 1}});
        let diff = diff(gone, added);
        most.parse::<MaxDeletes>().unwrap().judge(&removed(&diff), &totals(&plan), &diff)
    }

    #[test]
    fn one_entry_may_go_but_not_a_fifth_at_once_nor_the_last() {
        assert_eq!(judged("20%", &["/providers/a", "/virtual_keys/k"], &[]), None);
        assert_eq!(judged("20%", &["/virtual_keys/k/hashes/0", "/virtual_keys/l/hashes/0"], &[]), None, "parts of entries are no entries");
        let said = judged("20%", &["/virtual_keys/k", "/virtual_keys/l"], &[]).unwrap();
        assert_eq!(said, "2 of 5 virtual keys would be removed, over --max-deletes 20%");
        assert_eq!(judged("40%", &["/virtual_keys/k", "/virtual_keys/l"], &[]), None);
        assert_eq!(judged("20%", &["/models/m"], &[]).unwrap(), "1 of 1 models would be removed, and none is left");
        assert_eq!(judged("20%", &["/models/m"], &["/models/n"]), None, "a renamed one is not lost");
        let said = judged("20%", &["/budgets/a", "/budgets/b"], &[]).unwrap();
        assert_eq!(said, "2 of 2 budgets would be removed, over --max-deletes 20%");
        assert_eq!(judged("50%", &["/prices/a~1b", "/prices/a~1*"], &[]), None, "two of four");
    }

    #[test]
    fn a_number_counts_entries_of_every_kind() {
        assert_eq!(judged("2", &["/providers/a", "/virtual_keys/k"], &[]), None);
        assert_eq!(judged("1", &["/providers/a", "/virtual_keys/k"], &[]).unwrap(), "2 entries would be removed, over --max-deletes 1");
        assert_eq!(judged("0", &["/models/m"], &[]).unwrap(), "1 entries would be removed, over --max-deletes 0");
    }

    #[test]
    fn a_limit_is_a_share_or_a_number() {
        for bad in ["", "%", "101%", "-1", "a", "1.5%"] {
            assert!(bad.parse::<MaxDeletes>().is_err(), "{bad}");
        }
    }
}
