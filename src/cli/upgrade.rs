//! `upgrade`: another gateway process takes over from the running one, without a request lost.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::admin::{Admin, Call};
use super::context::Context;
use super::exit::{CommandError, Exit};
use super::output::{Format, Outcome};
use super::runtime;

/// Replaces the running gateway by a new process of it, such as one of a newer version, and loses no request.
///
/// The running gateway starts its successor with its own arguments, hands over its sockets and accounts once that is ready, and finishes
/// what runs. Where the successor does not get ready, the running one goes on as if nothing had happened. Only over the admin socket.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The program to start [default: the running one's, from where it was started].
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl upgrade                               # the same path, with what is there now
  bifrostctl upgrade --binary /opt/bifrostctl-0.2/bifrostctl --timeout 2m
  bifrostctl upgrade -o json | jq -r .result.new.pid";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// How long until it is tried again while the last upgrade is not over.
const AGAIN: Duration = Duration::from_millis(200);
/// What is left of the time for the answer itself.
const SLACK: Duration = Duration::from_millis(500);

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let binary = args.binary.as_ref().map(|binary| {
        let wrong = |error: std::io::Error| CommandError::failure(format!("cannot use {}: {error}", binary.display()));
        binary.canonicalize().map_err(wrong)
    });
    let binary = binary.transpose()?;
    let admin = context.admin()?;
    let answer = runtime::block_on(replace(&admin, binary, context.global.timeout.get()))?;
    let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown");
    let summary = format!(
        "process {} (version {}) serves revision {}; process {} (version {}) finishes what runs",
        number("/new/pid"),
        text("/new/version"),
        number("/new/revision"),
        number("/old/pid"),
        text("/old/version"),
    );
    Ok(Outcome::ok(summary).result(answer))
}

/// Asks until the gateway begins, and waits for what comes of it.
async fn replace(admin: &Admin, binary: Option<PathBuf>, timeout: Duration) -> Result<Value, CommandError> {
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now()).saturating_sub(SLACK);
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let answer = admin.send(Call::post("/v1/upgrade", json!({"binary": binary, "timeout_ms": left_ms}))).await?;
        match (answer.status, answer.code()) {
            (200, _) => return answer.success(),
            (409, "predecessor_runs") if Instant::now() + AGAIN < until => tokio::time::sleep(AGAIN).await,
            (409, "predecessor_runs") | (504, _) => {
                return Err(
                    CommandError::new(Exit::TimedOut, answer.message()).hint("the running gateway goes on; give it longer with --timeout")
                );
            }
            (409 | 503, _) => {
                return Err(CommandError::new(Exit::Rejected, answer.message()).hint("the running gateway goes on as before"));
            }
            _ => return Err(CommandError::failure(answer.message())),
        }
    }
}
