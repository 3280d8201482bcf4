//! `spend`: what was spent, by whom and on what.

mod table;
mod when;

use std::path::PathBuf;

use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::admin::Call;
use super::context::Context;
use super::exit::CommandError;
use super::output::{Details, Format, Outcome};
use super::runtime;
use crate::store::book::{self, Dimension, Question, Report, told};
use when::When;

/// Shows what was spent, by key, team, alias, provider, model, day and more; from the running gateway, or from its state directory.
///
/// Lines are attempts that reached a provider, each with what it cost. Amounts are exact; a sum is the sum of its lines.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to tell apart, in order: key, team, alias, provider, model, endpoint, tier, source, outcome, hour, day, month.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = dimension, default_value = "key")]
    by: Vec<Dimension>,
    /// From when: a day, a month, a time, or how long ago.
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    from: When,
    /// Until when; a day and a month are included [default: now].
    #[arg(long, value_name = "WHEN")]
    to: Option<When>,
    /// Where days and months begin, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE", value_parser = zone, default_value = "UTC")]
    timezone: TimeZone,
    /// Only this virtual key.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Only this team.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only what asked for this alias.
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// Only this provider.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only this model, as its provider calls it.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only what this shared budget paid.
    #[arg(long, value_name = "NAME")]
    budget: Option<String>,
    /// Reads this state directory itself, whether or not a gateway runs.
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint")]
    state: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl spend                                              # the last 30 days, by key
  bifrostctl spend --by model,day --from 2026-11 --to 2026-11 --timezone Europe/Berlin
  bifrostctl spend --by key --budget growth-monthly -o csv=november.csv
  bifrostctl spend --by provider --from 7d -o json | jq -r .result.total.cost
  bifrostctl spend --state .bifrost                             # without a running gateway";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Csv];

fn dimension(word: &str) -> Result<Dimension, String> {
    let words = || Dimension::ALL.map(Dimension::word).join(", ");
    Dimension::read(word).ok_or_else(|| format!("expected some of {}", words()))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "expected the name of a time zone, such as Europe/Berlin or UTC".to_owned())
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let question = question(args, context.io.clock.unix_ms())?;
    let spend = match &args.state {
        Some(state) => {
            let report = open(state)?;
            let groups = report.spend(&question).map_err(|error| CommandError::failure(error.to_string()))?;
            told::spend(&question, &groups)
        }
        None => {
            let admin = context.admin()?;
            runtime::block_on(async { admin.send(Call::get(path(&question))).await?.success() })?
        }
    };
    let mut details = Details::default();
    details.renditions.insert(Format::Csv, table::csv(&spend));
    Ok(Outcome::ok(table::summary(&spend)).text(table::human(&spend)).details(details).result(spend))
}

/// Opens the book of a state directory to read.
pub(super) fn open(state: &std::path::Path) -> Result<Report, CommandError> {
    let path = state.join(book::FILE);
    if !path.exists() {
        let message = format!("there is no book in {}: {} is not there", state.display(), path.display());
        let hint = "name the directory that `gateway.state` names in the spec; a book on PostgreSQL is asked through a running gateway, without --state";
        return Err(CommandError::failure(message).hint(hint));
    }
    Report::open(&path).map_err(|error| CommandError::failure(error.to_string()))
}

fn question(args: &Args, now_ms: u64) -> Result<Question, CommandError> {
    let from = args.from.begins(&args.timezone, now_ms);
    let to = args.to.map_or(u64::MAX, |to| to.ends(&args.timezone, now_ms));
    if to <= from {
        return Err(CommandError::usage("--to is not after --from"));
    }
    let only = [
        (Dimension::Key, &args.key),
        (Dimension::Team, &args.team),
        (Dimension::Alias, &args.alias),
        (Dimension::Provider, &args.provider),
        (Dimension::Model, &args.model),
    ];
    Ok(Question {
        admitted_ms: from..to,
        by: args.by.clone(),
        only: only.into_iter().filter_map(|(dimension, value)| Some((dimension, value.clone()?))).collect(),
        account: args.budget.as_ref().map(|name| format!("budget:{name}")),
        zone: args.timezone.clone(),
    })
}

/// Writes the question as a path of the admin API.
fn path(question: &Question) -> String {
    let by: Vec<&str> = question.by.iter().map(|dimension| dimension.word()).collect();
    let mut pairs = vec![("by", by.join(",")), ("from", question.admitted_ms.start.to_string())];
    if question.admitted_ms.end < u64::MAX {
        pairs.push(("to", question.admitted_ms.end.to_string()));
    }
    pairs.push(("timezone", question.zone.iana_name().unwrap_or("UTC").to_owned()));
    pairs.extend(question.account.iter().map(|account| ("account", account.clone())));
    pairs.extend(question.only.iter().map(|(dimension, value)| (dimension.word(), value.clone())));
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
    format!("/v1/spend?{}", pairs.join("&"))
}

/// Reads an amount or a count of an answer as text.
fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => "-".to_owned(),
    }
}
