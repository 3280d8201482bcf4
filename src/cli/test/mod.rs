//! `test`: the tests of a spec, run through the gateway's own data path with providers that answer by script.
//!
//! Rule: nothing leaves the process, and nothing depends on the machine: the same spec, tests and seed give the same outcome.

mod discover;
pub(crate) mod junit;
mod report;
mod update;

use std::num::NonZeroU8;
use std::path::PathBuf;

use super::context::Context;
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::input::{NoEnvironment, Source, refused};
use super::output::{Format, Outcome, color};
use super::table_text::count;
use crate::base::glob;
use crate::scenario::{self, Coverage};
use crate::spec::{Disk, LoadedTests, load_tests};
use report::{Report, Suite};
use update::Updated;

/// Expectations that `--update` cannot write and tells of; more are counted.
const MOST_LEFT: usize = 8;

/// Runs the tests of the spec: what is asked, what providers answer, and what should come of it.
///
/// Requests go through the gateway's own decision, limits, budgets, attempts and translation. Providers are scripted, the clock is the test's
/// own, and nothing leaves the process. Exits with 2 when a test fails.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files of tests [default: *.test.yaml beside the spec, and in tests/ there].
    #[arg(value_name = "TESTS")]
    files: Vec<PathBuf>,
    /// Runs those whose name holds this text, or fits this pattern with `*`.
    #[arg(long, value_name = "TEXT")]
    run: Option<String>,
    /// Writes what came into the tests that failed, to be reviewed.
    #[arg(long)]
    update: bool,
    /// Fails (2) when less of the spec's rules, models, keys and fallbacks is used by tests. Percent.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    coverage_at_least: Option<NonZeroU8>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl test
  bifrostctl test tests/failover.test.yaml --run \"*budget*\"
  bifrostctl test -o human -o junit=test.xml --coverage-at-least 80
  bifrostctl test --update && git diff";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Github, Format::Sarif, Format::Markdown, Format::Junit];

fn percent(text: &str) -> Result<NonZeroU8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent: &NonZeroU8| percent.get() <= 100).ok_or_else(|| "expected a number from 1 to 100".to_owned())
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let paths = if args.files.is_empty() { discover::beside(source.base_dir())? } else { args.files.clone() };
    let files = read(&paths, context)?;
    let now_ms = context.io.clock.unix_ms();
    let mut report = Report::default();
    for loaded in files {
        let is_wanted = |name: &str| args.run.as_deref().is_none_or(|wanted| name.contains(wanted) || glob::matches(wanted, name));
        let ran = scenario::run(&checked.plan, &loaded.file, now_ms, |test| is_wanted(&test.name));
        report.add(Suite::new(loaded, ran));
    }
    if report.total() == 0 {
        return Err(CommandError::failure("no test has such a name").hint("`bifrostctl test` without --run runs them all"));
    }
    let updated = if args.update { update::write(&report)? } else { Updated::default() };
    Ok(outcome(args, context, &report, &updated))
}

/// Reads files of tests; what is wrong in any of them is told at once.
fn read(paths: &[PathBuf], context: &Context<'_>) -> Result<Vec<LoadedTests>, CommandError> {
    let mut files = Vec::new();
    let mut wrong = Vec::new();
    for path in paths {
        match load_tests(&Disk, path) {
            Ok(loaded) => files.push(loaded),
            Err(rejected) => wrong.push((path, rejected)),
        }
    }
    match wrong.first() {
        None => Ok(files),
        Some((path, rejected)) => {
            let findings = Findings::new(rejected.diagnostics.clone(), &rejected.sources);
            let message = format!("{} is not valid: {}", path.display(), findings.tally());
            let mut details = findings.messages(context);
            for (_, rejected) in wrong.iter().skip(1) {
                let more = Findings::new(rejected.diagnostics.clone(), &rejected.sources).messages(context);
                details.messages.push_str(&more.messages);
                details.diagnostics.extend(more.diagnostics);
            }
            Err(CommandError::new(Exit::Invalid, message).details(details))
        }
    }
}

fn outcome(args: &Args, context: &Context<'_>, report: &Report, updated: &Updated) -> Outcome {
    let failed = report.failed();
    let covered = report.coverage.as_ref().map_or(0, Coverage::percent);
    let short = args.coverage_at_least.filter(|least| covered < usize::from(least.get()));
    let mut summary = format!("{}: {} passed", count(report.total(), "test"), report.total() - failed);
    if failed > 0 {
        summary.push_str(&format!(", {failed} failed"));
    }
    summary.push_str(&report.told_coverage());
    if let Some(least) = short {
        summary.push_str(&format!(", less than --coverage-at-least {least}"));
    }
    let findings = Findings::new(report.diagnostics(), &report.sources);
    let mut details = findings.messages(context);
    details.renditions.insert(Format::Junit, junit::render(report));
    details.renditions.insert(Format::Markdown, report.markdown(&summary));
    let exit = if failed > 0 || short.is_some() { Exit::Differences } else { Exit::Ok };
    let color = color(context.global.color, context.io.terminal.stdout, context.io);
    let mut outcome = Outcome::ok(summary).text(report.human(color)).result(report.json()).details(details).exit(exit);
    for path in &updated.files {
        outcome = outcome.hint(format!("{} says what came now: review it before it is committed", path.display()));
    }
    for left in updated.left.iter().take(MOST_LEFT) {
        outcome = outcome.hint(left);
    }
    if let Some(more) = updated.left.len().checked_sub(MOST_LEFT).filter(|more| *more > 0) {
        outcome = outcome.hint(format!("not written: {more} more"));
    }
    if failed > 0 && !args.update {
        outcome = outcome.hint("`bifrostctl test --update` writes what came into the tests, where that is what is meant");
    }
    outcome
}
