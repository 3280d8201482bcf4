//! `simulate`: the requests of an access log, asked of another spec: who would be denied, what would go elsewhere, what it would cost.
//!
//! Rule: the decision is the gateway's own (`explain`); nothing is sent. A log holds no bodies, so what it tells of a request (its size, what
//! it uses) stands for it.

mod replay;
mod report;

use std::path::PathBuf;

use super::context::Context;
use super::exit::{CommandError, Exit};
use super::input::{NoEnvironment, Source, refused};
use super::output::{Format, Outcome};
use super::request_log;
use super::table_text::count;
use crate::scenario;
use replay::Replay;

/// Asks the spec about the requests of an access log: what would be denied, sent elsewhere, lost in translation, and what it would cost.
///
/// The log is that of the gateway (`telemetry.access_log`). Where rules look at headers, `telemetry.log_headers` writes those into it.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The access log; `-` reads standard input [default: the file that the spec names].
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
    /// Exits with 7 when a request would be denied that was served.
    #[arg(long)]
    fail_on_denied: bool,
    /// Exits with 7 when all would cost more by a larger share than this. Percent.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_cost_increase: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl simulate access.jsonl                          # yesterday's requests, with the spec of this pull request
  kubectl logs deploy/gateway | bifrostctl simulate -
  bifrostctl simulate access.jsonl --fail-on-denied --max-cost-increase 10% -o human -o markdown=simulate.md";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Markdown];

fn percent(text: &str) -> Result<u32, String> {
    text.strip_suffix('%').unwrap_or(text).parse().map_err(|_| "expected a share such as `10%`".to_owned())
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let path = request_log::place(args.log.as_deref(), &checked)?;
    let now_ms = context.io.clock.unix_ms();
    let table = scenario::table(&checked.plan, now_ms).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        CommandError::failure(format!("the spec is valid, but no table can be made of it: {}", errors.join("; ")))
    })?;
    let mut replay = Replay::new(&table, now_ms);
    let passed_over = request_log::each(&path, context, |line| replay.take(&line))?;
    let done = replay.done();
    if done.requests == 0 {
        return Err(CommandError::failure(format!("{} has no request that can be asked again", path.display()))
            .hint("`simulate` reads the gateway's access log: one JSON line for each request"));
    }
    let (rise, denied) = (done.rise_percent(), done.denied());
    let too_dear = args.max_cost_increase.filter(|most| rise.is_some_and(|rise| rise > f64::from(*most)));
    let mut summary =
        format!("{}: {} of them denied that were served, at least {} sent elsewhere", count_of(done.requests), denied, done.moved());
    if let Some(most) = too_dear {
        summary.push_str(&format!("; dearer by more than --max-cost-increase {most}%"));
    }
    let exit = if too_dear.is_some() || (args.fail_on_denied && denied > 0) { Exit::Risk } else { Exit::Ok };
    let mut details = super::output::Details::default();
    details.renditions.insert(Format::Markdown, report::markdown(&done, &summary));
    let mut outcome = Outcome::ok(summary).text(report::human(&done)).result(report::json(&done, passed_over)).details(details).exit(exit);
    if passed_over > 0 {
        outcome = outcome.hint(format!("passed over, as no requests: {} of the log", lines(passed_over)));
    }
    if done.skipped > 0 {
        outcome = outcome.hint(format!("not asked again, because a log does not tell enough of their kind: {}", count_of(done.skipped)));
    }
    Ok(outcome)
}

fn count_of(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "request")
}

fn lines(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "line")
}
