//! `validate`: checks a spec as far as asked, and prints what it found in every format at once.
//!
//! Rule: one pipeline with a level at which it stops. What passes at `semantic` is what `apply` compiles.

mod allow;
mod environment;
pub(super) mod explain;
pub(super) mod live;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::context::Context;
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::input::{NoEnvironment, Source, contents};
use super::output::{Format, Outcome, color};
use super::table_text::count;
use crate::plan::Plan;
use crate::spec::{Diagnostic, Severity, Sources};
use allow::Allowance;

/// Checks the spec: syntax, schema and meaning; with --level also what it needs here, and whether the running gateway takes it.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// How far to check; each level holds those before it: syntax, schema, semantic (no environment, no network),
    /// env (variables and secrets can be read here), live (the running gateway would take it).
    #[arg(long, value_enum, default_value_t = Level::Semantic, hide_possible_values = true)]
    level: Level,
    /// Warnings fail, too.
    #[arg(long)]
    deny_warnings: bool,
    /// Drops warnings of this code, up to the day before DATE (UTC); repeatable.
    #[arg(long, value_name = "CODE[=until:DATE]")]
    allow: Vec<Allowance>,
    /// Explains a code, such as BF0207, and checks nothing; `list` lists all codes.
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl validate
  bifrostctl validate -f gateway.yaml -f env/prod.yaml --deny-warnings
  bifrostctl validate -o github -o sarif=gateway.sarif         # in CI
  bifrostctl validate --allow BF0206=until:2027-01-01
  bifrostctl validate --explain BF0207";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Github, Format::Sarif, Format::Markdown];

/// How far to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Level {
    /// The text is YAML of the strict kind, and every file is there.
    Syntax,
    /// Every field is known and of its type.
    Schema,
    /// It means something.
    Semantic,
    /// Variables and secrets can be read on this machine.
    Env,
    /// The running gateway would take it.
    Live,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Schema => "schema",
            Self::Semantic => "semantic",
            Self::Env => "env",
            Self::Live => "live",
        }
    }

    /// Returns whether findings of a code belong to this level: BF00xx is syntax, BF01xx the schema.
    fn covers(self, code: &str) -> bool {
        match self {
            Self::Syntax => code < "BF0100",
            Self::Schema => code < "BF0200",
            Self::Semantic | Self::Env | Self::Live => true,
        }
    }
}

/// What an examination found.
struct Examined {
    sources: Sources,
    plan: Option<Plan>,
    found: Vec<Diagnostic>,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    if let Some(code) = &args.explain {
        return explain::run(code);
    }
    let source = Source::open(context)?;
    let mut examined = examine(args.level, &source, context)?;
    let before = examined.found.len();
    let extra = allow::filter(&args.allow, &mut examined.found, context.io.clock.unix_ms());
    let allowed = before - examined.found.len();
    examined.found.extend(extra);
    Ok(outcome(args, context, &source, examined, allowed))
}

fn examine(level: Level, source: &Source, context: &mut Context<'_>) -> Result<Examined, CommandError> {
    let checked = if level >= Level::Env { source.check(&*context.io.env, true) } else { source.check(&NoEnvironment, false) };
    let checked = match checked {
        Ok(checked) => checked,
        Err(rejected) => {
            let found = rejected.diagnostics.into_iter().filter(|found| level.covers(found.code)).collect();
            return Ok(Examined { sources: rejected.sources, plan: None, found });
        }
    };
    let mut found = checked.warnings.clone();
    found.retain(|found| level.covers(found.code));
    if level >= Level::Env {
        found.extend(environment::look(&checked, &*context.io.env, source.base_dir()));
    }
    let refused = found.iter().any(|found| found.severity == Severity::Error);
    if level >= Level::Live && !refused {
        found.extend(live::ask(&checked, source, context)?);
    }
    Ok(Examined { sources: checked.loaded.sources, plan: Some(checked.plan), found })
}

fn outcome(args: &Args, context: &Context<'_>, source: &Source, examined: Examined, allowed: usize) -> Outcome {
    let Examined { sources, plan, found } = examined;
    let findings = Findings::new(found, &sources);
    let invalid = findings.count(Severity::Error) > 0;
    let denied = args.deny_warnings && findings.count(Severity::Warning) > 0;
    let mut details = findings.details();
    for value in &mut details.diagnostics {
        explain::add_title(value);
    }
    let tail = |text: String| if text.is_empty() { text } else { format!(", {text}") };
    let mut summary = match (&plan, invalid) {
        (_, true) => format!("{}: not valid, {}", source.name(), findings.tally()),
        (Some(plan), false) if args.level >= Level::Semantic => {
            format!("{}: valid ({}){}", source.name(), contents(plan), tail(findings.tally()))
        }
        (_, false) => format!("{}: valid {}{}", source.name(), args.level.name(), tail(findings.tally())),
    };
    if allowed > 0 {
        summary.push_str(&format!(", {} allowed", count(allowed, "warning")));
    }
    if denied && !invalid {
        summary.push_str(" (--deny-warnings)");
    }
    let exit = if invalid || denied { Exit::Invalid } else { Exit::Ok };
    let result = json!({
        "level": args.level.name(), "valid": !invalid, "files": sources.0.iter().map(|source| source.path.display().to_string()).collect::<Vec<_>>(),
        "errors": findings.count(Severity::Error), "warnings": findings.count(Severity::Warning),
        "notes": findings.count(Severity::Info), "allowed": allowed, "contents": plan.as_ref().map(totals),
    });
    let color = color(context.global.color, context.io.terminal.stdout, context.io);
    let outcome = Outcome::ok(summary).text(findings.human(color)).result(result).details(details).exit(exit);
    match findings.first_code() {
        Some(code) => outcome.hint(format!("`bifrostctl validate --explain {code}` says more about it")),
        None => outcome,
    }
}

fn totals(plan: &Plan) -> Value {
    json!({"providers": plan.providers.len(), "models": plan.models.len(), "rules": plan.rules.len(), "teams": plan.teams.len(),
        "virtual_keys": plan.virtual_keys.len()})
}
