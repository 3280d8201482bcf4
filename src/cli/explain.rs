//! `explain`: where a request would go, and why. Nothing is sent to a provider.
//!
//! Rule: one decision function. Offline it runs here, over a table of this spec in which every secret is there and every target is
//! well; with `--live` the running gateway asks itself. What became of a request that was made stands in the access log.

mod trace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde_json::Value;

use super::admin::Call;
use super::context::{Context, read_all};
use super::exit::CommandError;
use super::input::{Checked, NoEnvironment, Source, refused};
use super::output::{Format, Outcome};
use super::runtime;
use crate::scenario;
use crate::table::explain::{Explanation, Moment, Question, explain, human};

/// Tells where a request would go: which rule and alias act, which targets are tried in which order, what is left out and why.
///
/// Offline, from the spec: as if every secret were set and every target well. With --live, by the running gateway's own state.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The name of the virtual key that asks; without one, the request is anonymous.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// An alias, or provider/model [default: what the body says].
    #[arg(short, long)]
    model: Option<String>,
    /// A header of the request; repeatable.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<Header>,
    /// A file with the request's JSON; `-` reads standard input.
    #[arg(long, value_name = "PATH")]
    body: Option<PathBuf>,
    /// What is called: chat, responses, messages (Anthropic's), generate_content (Gemini's), converse (Bedrock's), cohere_chat, completions, embeddings, files, batches, uploads, other. Files and the like name no model and go to the
    /// provider of the header `x-bifrost-provider`, or to the only one that the key covers.
    #[arg(long, value_enum, default_value_t = Called::Chat, value_name = "ENDPOINT", hide_possible_values = true)]
    call: Called,
    /// The answer is streamed; where the body says so itself (all but Gemini's and Bedrock's), it need not be said here.
    #[arg(long)]
    stream: bool,
    /// Asks the running gateway instead of the spec.
    #[arg(long)]
    live: bool,
    /// Tells what became of a request that was made: its id, as `x-bifrost-request-id` says it, or the beginning of it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["key", "model", "header", "body", "stream", "live"])]
    request: Option<String>,
    /// The access log in which the request is looked for; `-` reads standard input [default: the file that the spec names].
    #[arg(long, value_name = "PATH", requires = "request")]
    log: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl explain --key web-app --model fast
  bifrostctl explain --key web-app --body request.json -H \"x-tier: gold\"
  bifrostctl explain --key ops --call files -H \"x-bifrost-provider: openai\"
  bifrostctl explain --key web-app --model fast --live -o json | jq .result.candidates
  bifrostctl explain --request 9c5b94b1d4f24f2c --log access.jsonl";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// Largest body of a request that is read. Bytes.
const BODY_LIMIT: u64 = 64 << 20;

/// One `-H`.
#[derive(Debug, Clone)]
struct Header(String, String);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Self(name.trim().to_ascii_lowercase(), value.trim().to_owned())),
            // The text is not repeated: it may be a key.
            Some(_) | None => Err("expected `name: value`".to_owned()),
        }
    }
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Called {
    Chat,
    Responses,
    Messages,
    #[value(name = "generate_content")]
    GenerateContent,
    Converse,
    #[value(name = "cohere_chat")]
    CohereChat,
    Completions,
    Embeddings,
    /// Names no model, unless it is given one.
    #[value(aliases = ["files", "batches", "uploads"])]
    Other,
}

impl Called {
    const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::Converse => "converse",
            Self::CohereChat => "cohere_chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Other => "other",
        }
    }
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    if let Some(id) = &args.request {
        return trace::run(id, args.log.as_deref(), context);
    }
    let question = question(args, context)?;
    let told = if args.live { live(&question, context)? } else { offline(&question, context)? };
    Ok(Outcome::ok("").text(human(&told)).result(serde_json::to_value(&told).unwrap_or(Value::Null)))
}

fn question(args: &Args, context: &mut Context<'_>) -> Result<Question, CommandError> {
    let body = args.body.as_deref().map(|path| body(path, context)).transpose()?;
    let named = args.model.clone().or_else(|| Some(body.as_ref()?.get("model")?.as_str()?.to_owned()));
    if named.is_none() && args.call != Called::Other {
        let hint = "give --model, or a --body that names one; files and batches name none: `--call files`";
        return Err(CommandError::usage("no model is named").hint(hint));
    }
    let headers: BTreeMap<String, String> = args.header.iter().map(|header| (header.0.clone(), header.1.clone())).collect();
    Ok(Question { key: args.key.clone(), model: named, headers, body, endpoint: Some(args.call.name().to_owned()), stream: args.stream })
}

fn body(path: &Path, context: &mut Context<'_>) -> Result<Value, CommandError> {
    let name = path.display();
    if path.as_os_str() == "-" && context.global.file.iter().any(|file| file.as_os_str() == "-") {
        return Err(CommandError::usage("standard input can be read only once").hint("name a file for the spec or for the body"));
    }
    let bytes = read_all(path, BODY_LIMIT, context).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
    // What serde says about a body holds no part of it but its place.
    serde_json::from_slice(&bytes).map_err(|error| CommandError::failure(format!("{name} is not JSON: {error}")))
}

fn live(question: &Question, context: &mut Context<'_>) -> Result<Explanation, CommandError> {
    let admin = context.admin()?;
    let body = serde_json::to_value(question).unwrap_or(Value::Null);
    let answer = runtime::block_on(async { admin.send(Call::post("/v1/explain", body)).await?.success() })?;
    serde_json::from_value(answer).map_err(|error| {
        CommandError::failure(format!("the gateway's explanation cannot be read: {error}"))
            .hint("is the gateway of another version than this bifrostctl?")
    })
}

fn offline(question: &Question, context: &mut Context<'_>) -> Result<Explanation, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let at = Moment { unix_ms: context.io.clock.unix_ms(), now_ms: context.io.clock.monotonic_ms(), roll: 0 };
    answer(&checked, question, at)
}

/// Builds a table as the gateway would, and asks it.
fn answer(checked: &Checked, question: &Question, at: Moment) -> Result<Explanation, CommandError> {
    let table = scenario::table(&checked.plan, at.unix_ms).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        CommandError::failure(format!("the spec is valid, but no table can be made of it: {}", errors.join("; ")))
    })?;
    explain(&table, question, at).map_err(|error| CommandError::failure(error.to_string()))
}
