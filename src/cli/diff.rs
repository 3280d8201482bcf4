//! `diff`: what a spec would change in the running gateway, in another file, in a Git commit or in an older revision.
//!
//! Rule: against the running gateway the gateway itself is asked (a dry run), so the answer is what `apply` would do. Everything else
//! is compared without looking at the environment, so the answer is the same on every machine.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde_json::{Map, json};

use super::changes::{Changes, nothing};
use super::context::Context;
use super::deploy::{self, Kept, Proposal, Verdict};
use super::exit::{CommandError, Exit};
use super::git::Repository;
use super::input::{Bundle, Checked, NoEnvironment, STDIN, Source, check, refused};
use super::output::{Format, Outcome, color};
use super::{runtime, verdict, written};
use crate::plan::diff::{Diff, Risk, diff};
use crate::spec::{Disk, Files, Inputs, Memory};

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
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl diff                                     # what `apply` would change
  bifrostctl diff --against git:origin/main -o markdown=comment.md --fail-on-risk high
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
}

impl Compared {
    /// Compares two specs on their plans, and on the text of what depends on the environment.
    fn new(base: impl Into<String>, before: &Checked, checked: &Checked) -> Self {
        let mut diff = diff(&before.plan, &checked.plan);
        written::compare(&before.loaded, &checked.loaded, &mut diff);
        Self { diff, base: base.into(), refusal: None }
    }
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let compared = match &args.against {
        Against::Live => live(&source, &checked, context)?,
        Against::Git(reference) => git(reference, &source, &checked, context)?,
        Against::Revision(number) => revision(*number, &checked, context)?,
        Against::File(path) => {
            let paths = [path.clone()];
            let name = path.display().to_string();
            if !path.is_file() {
                return Err(CommandError::failure(format!("cannot read {name}: there is no such file")));
            }
            Compared::new(name.clone(), &base(&Disk, &paths, &name, context)?, &checked)
        }
    };
    Ok(outcome(args, context, &source, &checked, &compared))
}

fn outcome(args: &Args, context: &Context<'_>, source: &Source, checked: &Checked, compared: &Compared) -> Outcome {
    let Compared { diff, base, refusal } = compared;
    let title = format!("Plan for {base} → {}", source.name());
    let changes = Changes { diff, title: &title, new: Some(&checked.loaded) };
    let mut details = changes.details();
    let result = json!({"against": base, "different": !diff.is_empty(), "diff": diff.json()});
    if diff.is_empty() {
        let same = format!("no differences: {} means what {base} means", source.name());
        return Outcome::ok(same).result(result).details(details);
    }
    let risk = diff.risk();
    let gate = args.fail_on_risk.filter(|gate| risk >= gate.risk());
    let (exit, summary) = match gate {
        Some(gate) => (Exit::Risk, format!("risk {} is not below --fail-on-risk {}", risk.word(), gate.risk().word())),
        None if args.exit_code => (Exit::Differences, String::new()),
        None => (Exit::Ok, String::new()),
    };
    if let Some(refusal) = refusal {
        details.messages = format!("{refusal}\n");
    }
    let color = color(context.global.color, context.io.terminal.stdout, context.io);
    Outcome::ok(summary).text(changes.human(color)).result(result).details(details).exit(exit)
}

/// Loads the other side.
fn base(files: &dyn Files, paths: &[PathBuf], name: &str, context: &Context<'_>) -> Result<Checked, CommandError> {
    let checked = check(&Inputs { files, paths, env: &NoEnvironment, strict_env: false });
    checked.map_err(|rejected| {
        refused(name, &rejected, context).hint("it is the base of the comparison that is wrong: compare with another one")
    })
}

fn git(reference: &str, source: &Source, checked: &Checked, context: &Context<'_>) -> Result<Compared, CommandError> {
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
                return Ok(Compared { diff: diff(&nothing(&checked.plan), &checked.plan), base, refusal: None });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CommandError::failure(format!("cannot read {} in git:{reference}: {error}", path.display()))),
        }
    }
    let name = format!("git:{reference}");
    Ok(Compared::new(name.clone(), &base(&tree, &paths, &name, context)?, checked))
}

fn revision(number: u64, checked: &Checked, context: &mut Context<'_>) -> Result<Compared, CommandError> {
    let admin = context.admin()?;
    let kept = runtime::block_on(deploy::kept(&admin, Some(number)))?;
    let name = format!("revision {number}");
    Ok(Compared::new(name.clone(), &of_kept(&kept, &name, context)?, checked))
}

fn of_kept(kept: &Kept, name: &str, context: &Context<'_>) -> Result<Checked, CommandError> {
    let files = Memory(kept.bundle.files.iter().map(|(path, text)| (PathBuf::from(path), text.clone().into_bytes())).collect());
    let paths: Vec<PathBuf> = kept.bundle.paths.iter().map(PathBuf::from).collect();
    base(&files, &paths, name, context)
}

fn live(source: &Source, checked: &Checked, context: &mut Context<'_>) -> Result<Compared, CommandError> {
    let admin = context.admin()?;
    let proposal = Proposal::spec(&Bundle::new(&checked.loaded.sources, &source.paths), Map::new());
    let (base, said) = runtime::block_on(deploy::dry_run(&admin, &proposal))?;
    let name = format!("live revision {}", base.revision);
    match said {
        Verdict::Unchanged { .. } => Ok(Compared::new(name, checked, checked)),
        Verdict::Accepted { diff, .. } => Ok(Compared { diff: verdict::diff(&diff)?, base: name, refusal: None }),
        // The gateway's answer names only what stands in the way; a reader wants the rest, too.
        Verdict::Refused { code, message, .. } if code == "needs_restart" => {
            let before = of_kept(&base, &name, context)?;
            Ok(Compared { refusal: Some(message), ..Compared::new(name, &before, checked) })
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
