//! `apply`: proposes the spec to the running gateway and waits until it serves.
//!
//! Rule: nothing is applied that was not shown. The base is the revision that the difference was made for; if another one is live by
//! then, nothing happens.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::json;

use super::admin::Admin;
use super::changes::{Changes, removed, totals};
use super::context::Context;
use super::deploy::{self, Kept, Proposal, Verdict};
use super::exit::{CommandError, Exit};
use super::input::{Bundle, Checked, NoEnvironment, Source, refused};
use super::output::{Format, Outcome};
use super::settle::{Agreed, agree, done};
use super::{runtime, verdict};
use crate::plan::diff::Diff;

/// Applies the spec to the running gateway: checks it, shows what changes, asks, and waits until the new revision serves.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
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
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl apply
  bifrostctl apply -f gateway.yaml -f env/prod.yaml --yes --reason \"more groq\"
  bifrostctl apply --dry-run -o json | jq .changes";

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

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let admin = context.admin()?;
    let bundle = Bundle::new(&checked.loaded.sources, &source.paths);
    let paths: Vec<_> = checked.loaded.sources.0.iter().map(|source| source.path.clone()).collect();
    let signature = deploy::signature(context, args.reason.as_deref(), Some((source.base_dir(), &paths)));
    let proposal = Proposal::spec(&bundle, signature);
    runtime::block_on(propose(args, context, &admin, &proposal, (&source, &checked)))
}

async fn propose(
    args: &Args,
    context: &mut Context<'_>,
    admin: &Admin,
    proposal: &Proposal,
    (source, checked): (&Source, &Checked),
) -> Result<Outcome, CommandError> {
    let (base, said) = deploy::dry_run(admin, proposal).await?;
    let (diff, warnings) = match said {
        Verdict::Unchanged { revision } => {
            let summary = format!("nothing to apply: revision {revision} means what {} means", source.name());
            return Ok(Outcome::ok(summary).result(json!({"outcome": "unchanged", "revision": revision})));
        }
        Verdict::Accepted { diff, warnings, .. } => (verdict::diff(&diff)?, warnings),
        said @ (Verdict::Stale { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            return Err(verdict::refusal(said, &base, Some(&checked.loaded), context));
        }
    };
    let title = format!("Plan for live revision {} → {}", base.revision, source.name());
    let changes = Changes { diff: &diff, title: &title, new: Some(&checked.loaded) };
    let gate = gate(args, &base, &diff);
    let question = format!("Apply this to revision {}?", base.revision);
    let agreed = Agreed { yes: args.yes, dry_run: args.dry_run, gate, question: &question };
    if let Some(outcome) = agree(context, &changes, &warnings, agreed).await? {
        return Ok(outcome.result(json!({"outcome": "dry_run", "revision": base.revision, "diff": diff.json()})));
    }
    match deploy::commit(admin, proposal, base.revision).await? {
        Verdict::Accepted { revision, .. } => done(context, admin, revision, &changes).await,
        Verdict::Unchanged { revision } => {
            Ok(Outcome::ok(format!("revision {revision} had all of it already"))
                .result(json!({"outcome": "unchanged", "revision": revision})))
        }
        said @ (Verdict::Stale { .. } | Verdict::Invalid { .. } | Verdict::Refused { .. }) => {
            Err(verdict::refusal(said, &base, Some(&checked.loaded), context))
        }
    }
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
    use serde_json::Value;

    use super::*;

    fn diff(removed: &[&str], added: &[&str]) -> Diff {
        let change = |pointer: &str, action: &str| json!({"pointer": pointer, "path": pointer, "action": action, "summary": action, "impact": "live", "risk": "high"});
        let changes: Vec<Value> =
            removed.iter().map(|pointer| change(pointer, "removed")).chain(added.iter().map(|pointer| change(pointer, "added"))).collect();
        Diff::from_json(&json!({"version": 1, "changes": changes})).unwrap()
    }

    fn judged(most: &str, gone: &[&str], added: &[&str]) -> Option<String> {
        let plan = json!({"providers": {"a": 1, "b": 1}, "models": {"m": 1}, "virtual_keys": {"k": 1, "l": 1, "m": 1, "n": 1, "o": 1}});
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
