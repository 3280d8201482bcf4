//! `chat`: one streamed request through the gateway, to see it work.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::admin::{client_builder, is_loopback, root_cause};
use super::context::{Context, read_secret, read_secret_file};
use super::exit::{CommandError, Exit};
use super::output::{Format, Outcome};
use super::{peek, runtime};
use crate::base::Secret;
use crate::wire::frame::{Sse, fields};

/// Sends one streamed chat request through the gateway and prints the answer as it comes.
///
/// The virtual key comes from BIFROST_KEY or --key-file. --timeout bounds every silence, not the whole answer.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to say; `-` reads standard input.
    message: String,
    /// An alias, or provider/model.
    #[arg(short, long)]
    model: String,
    /// A system prompt.
    #[arg(long)]
    system: Option<String>,
    /// A file with the virtual key [env: BIFROST_KEY holds the key itself].
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// Where clients connect [env: BIFROST_URL] [default: the spec's gateway.listen].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl chat --model fast \"hi\"
  bifrostctl chat --model fast --key-file web.key -v \"hi\"   # also target and latency
  git diff | bifrostctl chat --model smart --system \"Write a commit message.\" -";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let key = key(args.key_file.as_deref(), context)?;
    let request = body(args, context)?;
    let url = url(args.url.as_deref(), context);
    let live = context.global.output.iter().all(|sink| sink.format == Format::Human && sink.path.is_none());
    let answer = runtime::block_on(async { converse(context, &url, key, request, live).await })?;
    context.detail(&answer.facts());
    let result = answer.json();
    match answer.wrong {
        Some(wrong) => Err(CommandError::failure(wrong)),
        None if live => Ok(Outcome::ok("").result(result)),
        None => Ok(Outcome::ok("").text(format!("{}\n", answer.text)).result(result)),
    }
}

/// Finds where clients connect, without a trailing slash or version: what is named, `BIFROST_URL`, what the spec says.
pub(super) fn url(named: Option<&str>, context: &Context<'_>) -> String {
    let url = match (named, context.io.variable("BIFROST_URL")) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(url)) => url.trim_end_matches('/').to_owned(),
        (None, None) => peek::client_url(context),
    };
    url.strip_suffix("/v1").unwrap_or(&url).to_owned()
}

/// Reads the virtual key: from a file, or `BIFROST_KEY`.
pub(super) fn key(file: Option<&Path>, context: &Context<'_>) -> Result<Option<Secret<String>>, CommandError> {
    match file {
        Some(path) => read_secret_file(path).map(|key| Some(Secret::new(key))),
        None => Ok(context.io.variable("BIFROST_KEY").map(|key| Secret::new(key.trim().to_owned()))),
    }
}

fn body(args: &Args, context: &mut Context<'_>) -> Result<Vec<u8>, CommandError> {
    let message = if args.message == "-" {
        read_secret(&mut context.io.stdin).map_err(|error| CommandError::failure(format!("cannot read standard input: {error}")))?
    } else {
        args.message.clone()
    };
    let mut messages = Vec::new();
    if let Some(system) = &args.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.push(json!({"role": "user", "content": message}));
    Ok(json!({"model": args.model, "messages": messages, "stream": true}).to_string().into_bytes())
}

/// What came back.
#[derive(Debug, Default)]
struct Answer {
    text: String,
    model: Option<String>,
    usage: Option<Value>,
    target: Option<String>,
    request_id: Option<String>,
    first_content_ms: Option<u64>,
    total_ms: u64,
    finished: bool,
    wrong: Option<String>,
}

impl Answer {
    fn json(&self) -> Value {
        json!({
            "content": self.text, "model": self.model, "target": self.target, "request_id": self.request_id,
            "first_content_ms": self.first_content_ms, "total_ms": self.total_ms, "usage": self.usage,
        })
    }

    fn facts(&self) -> String {
        let first = self.first_content_ms.map_or_else(|| "none".to_owned(), |ms| format!("after {ms} ms"));
        let target = self.target.as_deref().unwrap_or("not shown to this key");
        let request = self.request_id.as_deref().unwrap_or("unknown");
        format!("target {target} · first content {first} · total {} ms · request {request}", self.total_ms)
    }

    /// Takes one event's data in; returns the text that it adds.
    fn take(&mut self, data: &[u8]) -> Option<String> {
        if data.trim_ascii() == b"[DONE]" {
            self.finished = true;
            return None;
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else {
            self.wrong = Some("the gateway sent a chunk that is not JSON".to_owned());
            return None;
        };
        if let Some(error) = chunk.get("error") {
            self.wrong = Some(describe(error, "the answer ended with an error"));
            return None;
        }
        if let Some(model) = chunk.get("model").and_then(Value::as_str) {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        self.finished |= chunk.pointer("/choices/0/finish_reason").is_some_and(Value::is_string);
        chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    }
}

async fn converse(
    context: &mut Context<'_>,
    url: &str,
    key: Option<Secret<String>>,
    request: Vec<u8>,
    live: bool,
) -> Result<Answer, CommandError> {
    let client = client_builder(is_loopback(url))
        .read_timeout(context.global.timeout.get())
        .build()
        .map_err(|error| CommandError::failure(format!("cannot make an HTTP client: {error}")))?;
    let start = context.io.clock.monotonic_ms();
    let mut post = client.post(format!("{url}/v1/chat/completions")).header(http::header::CONTENT_TYPE, "application/json");
    if let Some(key) = &key {
        post = post.bearer_auth(key.expose());
    }
    let response = post.body(request).send().await.map_err(|error| unreachable(&error, url))?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let mut answer = Answer { target: header("x-bifrost-target"), request_id: header("x-bifrost-request-id"), ..Answer::default() };
    let status = response.status().as_u16();
    if status != 200 {
        let bytes = response.bytes().await.unwrap_or_default();
        return Err(refused(status, &bytes, &answer, key.is_some()));
    }
    let mut pieces = response.bytes_stream();
    let mut events = Sse::default();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| unreachable(&error, url))?;
        if !relay(&mut answer, &mut events, piece, Show { context, start, live }) {
            break;
        }
    }
    if live && !answer.text.is_empty() {
        context.io.stdout.line("");
    }
    answer.total_ms = context.io.clock.monotonic_ms().saturating_sub(start);
    if answer.wrong.is_none() && !answer.finished && context.io.stdout.is_open() {
        answer.wrong = Some("the answer was cut: the stream ended before its end was marked".to_owned());
    }
    Ok(answer)
}

/// Where the answer is shown while it comes.
struct Show<'a, 'c> {
    context: &'a mut Context<'c>,
    start: u64,
    live: bool,
}

/// Takes a piece of the stream in; returns whether more is wanted.
fn relay(answer: &mut Answer, events: &mut Sse, piece: Bytes, show: Show<'_, '_>) -> bool {
    if events.push(piece).is_err() {
        answer.wrong = Some("the gateway sent an event that is too large".to_owned());
        return false;
    }
    while let Some(event) = events.next_event() {
        let mut texts = Vec::new();
        fields(&event, |data| texts.extend(answer.take(data)));
        for text in texts {
            let now = show.context.io.clock.monotonic_ms();
            answer.first_content_ms.get_or_insert(now.saturating_sub(show.start));
            answer.text.push_str(&text);
            if show.live {
                show.context.io.stdout.put(&text);
                show.context.io.stdout.flush();
            }
        }
        if answer.wrong.is_some() {
            return false;
        }
    }
    show.context.io.stdout.is_open()
}

fn unreachable(error: &reqwest::Error, url: &str) -> CommandError {
    if error.is_timeout() {
        return CommandError::new(Exit::TimedOut, format!("the gateway at {url} fell silent")).hint("give it longer with --timeout");
    }
    CommandError::failure(format!("cannot talk to the gateway at {url}: {}", root_cause(error)))
        .hint("is it running? start it with `bifrostctl serve`, or name another with --url or BIFROST_URL")
}

fn refused(status: u16, body: &[u8], answer: &Answer, with_key: bool) -> CommandError {
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let message = match parsed.get("error") {
        Some(error) => describe(error, &format!("HTTP {status}")),
        None => format!("the gateway answered HTTP {status}"),
    };
    let exit = if matches!(status, 401 | 403) { Exit::NotAuthorised } else { Exit::Failure };
    let mut wrong = CommandError::new(exit, message);
    if status == 401 && !with_key {
        wrong = wrong.hint("set BIFROST_KEY or give --key-file; `bifrostctl key new` makes a key");
    } else if status == 401 {
        wrong = wrong.hint("the spec must list the digest that `bifrostctl key hash` prints for this key");
    }
    match &answer.request_id {
        Some(id) => wrong.hint(format!("the gateway's log knows this request as {id}")),
        None => wrong,
    }
}

fn describe(error: &Value, otherwise: &str) -> String {
    let message = error.get("message").and_then(Value::as_str).unwrap_or(otherwise);
    match error.get("code").and_then(Value::as_str) {
        Some(code) => format!("{message} ({code})"),
        None => message.to_owned(),
    }
}
