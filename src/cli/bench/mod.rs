//! `bench`: load through the gateway and straight to a provider, side by side.
//!
//! Rule: both sides are asked in turn within one run, so that what else the machine does falls on both; a time is counted from when the request
//! was meant to start.

mod load;
mod process;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use self::load::{Pace, Plan, Side};
use self::process::Usage;
use self::tally::Tally;
use super::admin::{Call, client_builder, is_loopback};
use super::chat::{key, url};
use super::context::{Context, read_secret_file};
use super::exit::CommandError;
use super::output::{Format, Outcome};
use super::{runtime, table_text};
use crate::base::{Secret, Span, visible};

/// Sends load through the gateway and, with --direct, straight to a provider, in turn, and tells what the gateway adds.
///
/// The requests are real: providers bill them, budgets count them, limits refuse them. The virtual key comes from BIFROST_KEY or --key-file, the
/// provider's own from --direct-key-file. Where the gateway is on this machine and its admin API answers, its CPU time and memory are told, too.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// An alias, or provider/model.
    #[arg(short, long)]
    model: String,
    /// A file with the virtual key [env: BIFROST_KEY holds the key itself].
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// Where clients connect [env: BIFROST_URL] [default: the spec's gateway.listen].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Root of a provider's API, up to and with its version, that is asked in turn with the gateway; it speaks OpenAI's chat completions.
    #[arg(long, value_name = "URL")]
    direct: Option<String>,
    /// The model as the provider names it [default: --model].
    #[arg(long, value_name = "NAME", requires = "direct")]
    direct_model: Option<String>,
    /// A file with the provider's key; without one, none is sent.
    #[arg(long, value_name = "PATH", requires = "direct")]
    direct_key_file: Option<PathBuf>,
    /// Requests a second to each side, sent when they are due whether or not others have ended. Without it, each connection asks again as soon
    /// as it is answered.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "connections")]
    rate: Option<u32>,
    /// Requests at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How long.
    #[arg(long = "for", value_name = "DURATION", default_value = "10s")]
    span: Span,
    /// How long before that, of which nothing is counted.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    warm_up: Span,
    /// Asks for streams, and tells when their first content came.
    #[arg(long)]
    stream: bool,
    /// Bytes of the prompt.
    #[arg(long, value_name = "BYTES", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    prompt: u32,
    /// The most tokens of each answer.
    #[arg(long, value_name = "N", default_value_t = 16)]
    max_tokens: u32,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl bench --model mock/demo --for 5s
  bifrostctl bench --model fast --rate 200 --stream
  bifrostctl mock --listen 127.0.0.1:9000   # in a terminal of its own
  bifrostctl bench --model up/m --direct http://127.0.0.1:9000/v1 --direct-model m --connections 32";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let sides = sides(args, context)?;
    let pace = args.rate.map_or(Pace::Connections(args.connections), Pace::Rate);
    let plan = |span: Span| Plan { pace, span: span.get(), stream: args.stream };
    let admin = context.admin().ok();
    let urls: Vec<String> = sides.iter().map(|side| side.url.clone()).collect();
    let gateway_url = url(args.url.as_deref(), context);
    let (tallies, usage) = runtime::block_on(async {
        let status = async { admin.as_ref()?.send(Call::get("/v1/status")).await.ok()?.success().ok() };
        let pid = status.await.and_then(|status| status.get("pid").and_then(Value::as_u64)).filter(|_| is_loopback(&gateway_url));
        load::run(&sides, plan(args.warm_up)).await;
        let before = pid.and_then(Usage::of);
        let tallies = load::run(&sides, plan(args.span)).await;
        let usage = before.and_then(|before| before.since());
        Ok((tallies, usage))
    })?;
    let told = Told { tallies: &tallies, urls: &urls, usage, span: args.span.get() };
    match tallies.first() {
        Some(gateway) if gateway.answers() == 0 => {
            let why = gateway.commonest().unwrap_or("nothing was sent in that time");
            Err(CommandError::failure(format!("the gateway at {gateway_url} answered no request: {}", visible(why)))
                .hint("`bifrostctl chat` shows one request in full"))
        }
        Some(_) | None => Ok(Outcome::ok("").text(told.human()).result(told.json())),
    }
}

fn sides(args: &Args, context: &mut Context<'_>) -> Result<Vec<Side>, CommandError> {
    let side = |url: String, path: &str, key: Option<Secret<String>>, model: &str| {
        let client = client_builder(is_loopback(&url))
            .timeout(context.global.timeout.get())
            .pool_max_idle_per_host(usize::MAX)
            .build()
            .map_err(|error| CommandError::failure(format!("cannot make an HTTP client: {error}")))?;
        let prompt = "Say it again. ".chars().cycle().take(args.prompt as usize).collect::<String>();
        let body = json!({"model": model, "messages": [{"role": "user", "content": prompt}], "stream": args.stream, "max_tokens": args.max_tokens});
        Ok::<_, CommandError>(Side { to: format!("{url}{path}"), url, key, body: body.to_string().into(), client })
    };
    let gateway = url(args.url.as_deref(), context);
    let key = key(args.key_file.as_deref(), context)?;
    let mut sides = vec![side(gateway, "/v1/chat/completions", key, &args.model)?];
    if let Some(direct) = &args.direct {
        let key = args.direct_key_file.as_deref().map(read_secret_file).transpose()?.map(Secret::new);
        let model = args.direct_model.as_ref().unwrap_or(&args.model);
        sides.push(side(direct.trim_end_matches('/').to_owned(), "/chat/completions", key, model)?);
    }
    Ok(sides)
}

/// What is told of a run.
struct Told<'t> {
    tallies: &'t [Tally],
    urls: &'t [String],
    usage: Option<Usage>,
    span: Duration,
}

const NAMES: [&str; 2] = ["gateway", "direct"];
const SHARES: [(&str, u32); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("max", 1_000)];

impl Told<'_> {
    fn json(&self) -> Value {
        let mut told = serde_json::Map::new();
        for ((name, url), tally) in NAMES.iter().zip(self.urls).zip(self.tallies) {
            let times = |of: fn(&Tally, u32) -> Option<u64>| -> Value {
                SHARES.iter().map(|(name, share)| ((*name).to_owned(), json!(of(tally, *share)))).collect::<serde_json::Map<_, _>>().into()
            };
            let side = json!({
                "url": url,
                "answers": tally.answers(),
                "failed": tally.failed(),
                "failures": tally.failures,
                "per_second": per_second(tally.answers(), self.span),
                "latency_us": times(Tally::latency_us),
                "first_content_us": times(Tally::first_content_us),
            });
            told.insert((*name).to_owned(), side);
        }
        let usage = self.usage.map(|usage| json!({"cpu_us_per_answer": self.cpu_us(&usage), "rss_bytes": usage.resident_bytes}));
        told.insert("process".to_owned(), json!(usage));
        told.into()
    }

    /// CPU time of the gateway for each answer, failed ones too.
    fn cpu_us(&self, usage: &Usage) -> Option<u64> {
        let all = self.tallies.first().map_or(0, |tally| tally.answers() + tally.failed());
        usage.cpu_us.checked_div(all)
    }

    fn human(&self) -> String {
        let head = ["", "answers", "failed", "a second", "p50", "p90", "p99", "max"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        let first = |tally: &Tally| tally.first_content_us(500).is_some();
        for (name, tally) in NAMES.iter().zip(self.tallies) {
            let counts = [(*name).to_owned(), tally.answers().to_string(), tally.failed().to_string()];
            let rate = per_second(tally.answers(), self.span).to_string();
            rows.push(counts.into_iter().chain([rate]).chain(times(tally, Tally::latency_us)).collect());
            if first(tally) {
                let blank = ["  first content", "", "", ""].map(str::to_owned);
                rows.push(blank.into_iter().chain(times(tally, Tally::first_content_us)).collect());
            }
        }
        if let [gateway, direct] = self.tallies {
            let more = |of: fn(&Tally, u32) -> Option<u64>| SHARES.map(|(_, share)| difference(of(gateway, share), of(direct, share)));
            let of = if first(gateway) { Tally::first_content_us } else { Tally::latency_us };
            let blank = ["added", "", "", ""].map(str::to_owned);
            rows.push(blank.into_iter().chain(more(of)).collect());
        }
        let mut text = table_text::table(&rows);
        for (name, tally) in NAMES.iter().zip(self.tallies) {
            for (why, count) in &tally.failures {
                text.push_str(&format!("{name}: {count} × {}\n", visible(why)));
            }
        }
        if let Some(usage) = &self.usage
            && let Some(cpu_us) = self.cpu_us(usage)
        {
            let mebibytes = usage.resident_bytes >> 20;
            text.push_str(&format!("the gateway used {cpu_us} µs of CPU for each answer, and {mebibytes} MiB of memory\n"));
        }
        text
    }
}

fn times(tally: &Tally, of: fn(&Tally, u32) -> Option<u64>) -> [String; 4] {
    SHARES.map(|(_, share)| of(tally, share).map_or_else(|| "-".to_owned(), written))
}

/// A time as people read it.
fn written(us: u64) -> String {
    format!("{:.2?}", Duration::from_micros(us))
}

fn difference(more: Option<u64>, less: Option<u64>) -> String {
    match (more, less) {
        (Some(more), Some(less)) if more >= less => written(more - less),
        (Some(more), Some(less)) => format!("-{}", written(less - more)),
        _ => "-".to_owned(),
    }
}

fn per_second(count: u64, span: Duration) -> u64 {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000) / ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_unit_that_fits_and_differences_may_be_below_nothing() {
        assert_eq!([7, 1_500, 12_346, 2_345_678].map(written), ["7.00µs", "1.50ms", "12.35ms", "2.35s"]);
        assert_eq!(difference(Some(1_500), Some(1_000)), "500.00µs");
        assert_eq!(difference(Some(1_000), Some(1_500)), "-500.00µs");
        assert_eq!(difference(None, Some(1)), "-");
        assert_eq!(per_second(1_234, Duration::from_secs(10)), 123);
    }
}
