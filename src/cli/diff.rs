//! `diff`: what a spec would change in the running gateway, in another file, in a Git commit or in an older revision.
//!
//! Rule: against the running gateway the gateway itself is asked (a dry run), so the answer is what `apply` would do. Everything else
//! is compared without looking at the environment, so the answer is the same on every machine.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde_json::{Map, json};

use super::base::Base;
use super::changes::{Changes, nothing};
use super::context::Context;
use super::deploy::{self, Kept, Proposal, Verdict};
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::git::Repository;
use super::input::{Bundle, Checked, NoEnvironment, STDIN, Source, refused};
use super::output::{Format, Outcome, color};
use super::saved::SavedPlan;
use super::table_text::count;
use super::{runtime, verdict};
use crate::plan::diff::{Diff, Risk, diff};
use crate::spec::{Diagnostic, Disk, Files as _, Memory, Rejected, report};

/// Shows what the spec would change: in the running gateway, a Git commit, a file, or an older revision.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to compare with: live, git:REF, revision:N, or a file.
    #[arg(long, value_name = "BASE", default_value = "live")]
    against: Against,
    /// Exits with 2 when something differs.
    #[arg(long)]
    exit_code: bool,
    /// Exits with 7 when a change has this risk or a higher one: low, medium, high.
    #[arg(long, value_enum, value_name = "RISK", hide_possible_values = true)]
    fail_on_risk: Option<Gate>,
    /// Saves the plan, so that `apply PLAN` does what was reviewed or nothing. Only for the running gateway.
    #[arg(long, value_name = "PLAN")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl diff                                     # what `apply` would change
  bifrostctl diff --against git:origin/main -o markdown=comment.md --fail-on-risk high
  bifrostctl diff --out gateway.plan                  # then: bifrostctl apply gateway.plan
  bifrostctl diff --against revision:41
  bifrostctl diff --against gateway.old.yaml --exit-code";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Github, Format::Markdown];

/// What to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Against {
    /// The running gateway.
    Live,
    /// The same files as they stand in a commit.
    Git(String),
    /// A revision that the running gateway keeps.
    Revision(u64),
    /// Another spec.
    File(PathBuf),
}

impl FromStr for Against {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("git", "")) => Err("expected a branch, a tag or a commit after `git:`".to_owned()),
            Some(("git", reference)) => Ok(Self::Git(reference.to_owned())),
            Some(("revision", number)) => number.parse().map(Self::Revision).map_err(|_| "expected a number after `revision:`".to_owned()),
            _ if text == "live" => Ok(Self::Live),
            _ if text.is_empty() => Err("expected live, git:REF, revision:N or a file".to_owned()),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

/// From which risk on a diff fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Gate {
    Low,
    Medium,
    High,
}

impl Gate {
    const fn risk(self) -> Risk {
        match self {
            Self::Low => Risk::Low,
            Self::Medium => Risk::Medium,
            Self::High => Risk::High,
        }
    }
}

/// What was compared.
struct Compared {
    diff: Diff,
    base: String,
    /// Why the running gateway would refuse it all the same.
    refusal: Option<String>,
    /// What is wrong with the base.
    flaws: Option<Rejected>,
    /// Whether so much is wrong that nothing is known of the base.
    is_unknown: bool,
    /// What is suspicious now and was not before.
    arisen: Vec<Diagnostic>,
}

impl Compared {
    /// Takes over a diff with a base that is fine.
    fn with(base: impl Into<String>, diff: Diff) -> Self {
        Self { diff, base: base.into(), refusal: None, flaws: None, is_unknown: false, arisen: Vec::new() }
    }

    /// Compares two specs.
    fn new(base: Base, checked: &Checked) -> Self {
        let (diff, is_unknown, arisen) = (base.diff(checked), base.is_unknown(), base.arisen(checked));
        Self { diff, base: base.name, refusal: None, flaws: base.flaws, is_unknown, arisen }
    }
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let compared = match &args.against {
        Against::Live => live(args, &source, &checked, context)?,
        _ if args.out.is_some() => {
            return Err(CommandError::usage("a plan is made for the running gateway").hint("leave out --against, or --out"));
        }
        Against::Git(reference) => git(reference, &source, &checked)?,
        Against::Revision(number) => revision(*number, &checked, context)?,
        Against::File(path) => {
            let paths = [path.clone()];
            let name = path.display().to_string();
            if !path.is_file() {
                return Err(CommandError::failure(format!("cannot read {name}: there is no such file")));
            }
            Compared::new(Base::read(&Disk, &paths, &name, &checked.plan), &checked)
        }
    };
    Ok(outcome(args, context, &source, &checked, &compared))
}

fn outcome(args: &Args, context: &Context<'_>, source: &Source, checked: &Checked, compared: &Compared) -> Outcome {
    let Compared { diff, base, refusal, flaws, is_unknown, arisen } = compared;
    let title = format!("Plan for {base} → {}", source.name());
    let changes = Changes { diff, title: &title, new: Some(&checked.loaded) };
    let mut details = changes.details();
    let mut result = json!({"against": base, "different": !diff.is_empty(), "diff": diff.json()});
    let patch = diff.patch();
    if let Some(result) = result.as_object_mut().filter(|_| !patch.is_null()) {
        // As RFC 6902 has it: from the base's model to the new one's, exact to the last default.
        result.insert("patch".to_owned(), patch);
    }
    if let Some(flaws) = flaws {
        // They are the base's: as diagnostics of this spec they would be drawn on its lines.
        if let Some(result) = result.as_object_mut() {
            result.insert("base_diagnostics".to_owned(), report::json(&flaws.diagnostics, &flaws.sources));
        }
        let found = Findings::new(flaws.diagnostics.clone(), &flaws.sources).messages(context).messages;
        let how = if *is_unknown { "everything is shown as new" } else { "it is compared as far as it can be read" };
        details.messages = format!("{found}note: these are of the base: {base}; {how}\n");
    }
    // What nobody can judge against a base that cannot be read is told by `validate`.
    if !arisen.is_empty() && !is_unknown {
        let found = Findings::new(arisen.clone(), &checked.loaded.sources).messages(context);
        details.messages.push_str(&format!("{}note: {} with this change\n", found.messages, count(arisen.len(), "new warning")));
        details.diagnostics.extend(found.diagnostics);
    }
    if diff.is_empty() {
        let same = format!("no differences: {} means what {base} means", source.name());
        return Outcome::ok(same).result(result).details(details);
    }
    let (exit, summary) = match (args.fail_on_risk, diff.risk()) {
        (Some(_), _) if *is_unknown => (Exit::Risk, format!("what changes cannot be judged for --fail-on-risk: {base}")),
        (Some(gate), risk) if risk >= gate.risk() => {
            (Exit::Risk, format!("risk {} is not below --fail-on-risk {}", risk.word(), gate.risk().word()))
        }
        (Some(_) | None, _) if args.exit_code => (Exit::Differences, String::new()),
        (Some(_) | None, _) => (Exit::Ok, String::new()),
    };
    if let Some(refusal) = refusal {
        details.messages.push_str(&format!("{refusal}\n"));
    }
    let color = color(context.global.color, context.io.terminal.stdout, context.io);
    Outcome::ok(summary).text(changes.human(color)).result(result).details(details).exit(exit)
}

fn git(reference: &str, source: &Source, checked: &Checked) -> Result<Compared, CommandError> {
    if source.paths.iter().any(|path| path == Path::new(STDIN)) {
        return Err(CommandError::usage("a spec from standard input stands in no Git commit").hint("name the file with -f"));
    }
    let repository = Repository::of(source.base_dir())?;
    let tree = repository.tree(reference)?;
    let mut paths = Vec::new();
    for (index, path) in source.paths.iter().enumerate() {
        match tree.read(path) {
            Ok(_) => paths.push(path.clone()),
            // The spec itself is new, and so is everything in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && index == 0 => {
                let base = format!("nothing (git:{reference} has no {})", path.display());
                return Ok(Compared::with(base, diff(&nothing(&checked.plan), &checked.plan)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CommandError::failure(format!("cannot read {} in git:{reference}: {error}", path.display()))),
        }
    }
    let name = format!("git:{reference}");
    Ok(Compared::new(Base::read(&tree, &paths, &name, &checked.plan), checked))
}

fn revision(number: u64, checked: &Checked, context: &mut Context<'_>) -> Result<Compared, CommandError> {
    let admin = context.admin()?;
    let kept = runtime::block_on(deploy::kept(&admin, Some(number)))?;
    Ok(Compared::new(of_kept(&kept, &format!("revision {number}"), checked), checked))
}

fn of_kept(kept: &Kept, name: &str, checked: &Checked) -> Base {
    let files = Memory(kept.bundle.files.iter().map(|(path, text)| (PathBuf::from(path), text.clone().into_bytes())).collect());
    let paths: Vec<PathBuf> = kept.bundle.paths.iter().map(PathBuf::from).collect();
    Base::read(&files, &paths, name, &checked.plan)
}

fn live(args: &Args, source: &Source, checked: &Checked, context: &mut Context<'_>) -> Result<Compared, CommandError> {
    let admin = context.admin()?;
    let bundle = Bundle::new(&checked.loaded.sources, &source.paths);
    let proposal = Proposal::spec(&bundle, Map::new());
    let (base, said) = runtime::block_on(deploy::dry_run(&admin, &proposal))?;
    let name = format!("live revision {}", base.revision);
    if let (Some(out), Verdict::Accepted { diff, .. }) = (&args.out, &said) {
        SavedPlan::new(&base, &bundle, diff.clone(), source.commit(&checked.loaded)).write(out)?;
        context.note(&format!("saved for revision {}: apply it with `bifrostctl apply {}`", base.revision, out.display()));
    } else if args.out.is_some() {
        let why = if matches!(said, Verdict::Unchanged { .. }) { "there is nothing to apply" } else { "the gateway would not take it" };
        context.note(&format!("no plan was saved: {why}"));
    }
    match said {
        Verdict::Unchanged { .. } => Ok(Compared::with(name, diff(&checked.plan, &checked.plan))),
        Verdict::Accepted { diff, .. } => {
            let arisen = of_kept(&base, &name, checked).arisen(checked);
            Ok(Compared { arisen, ..Compared::with(name, verdict::diff(&diff)?) })
        }
        // The gateway's answer names only what stands in the way; a reader wants the rest, too.
        Verdict::Refused { code, message, .. } if code == "needs_restart" => {
            Ok(Compared { refusal: Some(message), ..Compared::new(of_kept(&base, &name, checked), checked) })
        }
        said @ (Verdict::Refused { .. } | Verdict::Stale { .. } | Verdict::Invalid { .. }) => {
            Err(verdict::refusal(said, &base, Some(&checked.loaded), context))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_live_a_commit_a_revision_or_a_file() {
        assert_eq!("live".parse(), Ok(Against::Live));
        assert_eq!("git:origin/main".parse(), Ok(Against::Git("origin/main".to_owned())));
        assert_eq!("git:HEAD:x".parse(), Ok(Against::Git("HEAD:x".to_owned())));
        assert_eq!("revision:41".parse(), Ok(Against::Revision(41)));
        assert_eq!("old/gateway.yaml".parse(), Ok(Against::File("old/gateway.yaml".into())));
        for bad in ["", "git:", "revision:", "revision:x"] {
            assert!(bad.parse::<Against>().is_err(), "{bad}");
        }
    }
}
