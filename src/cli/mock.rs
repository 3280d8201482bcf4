//! `mock`: the deterministic upstream on its own, for trying things out.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::context::Context;
use super::exit::CommandError;
use super::output::{Format, Outcome};
use super::runtime;
use crate::mock::{Config, Mock, Script};

/// Runs an OpenAI-compatible upstream that answers the same every time and breaks as its script says. Stops on Ctrl-C.
///
/// Without a script, single requests can ask for a fault: by the header x-mock-fault, or by a suffix of the model's name.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where it listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Which requests break, and how (YAML).
    #[arg(long, value_name = "PATH")]
    script: Option<PathBuf>,
    /// Changes the ids in answers.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl mock
  bifrostctl mock --listen 127.0.0.1:9100 --script faults.yaml
  curl http://127.0.0.1:9000/v1/models";

pub(super) const FORMATS: &[Format] = &[Format::Human];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    if !args.listen.ip().is_loopback() {
        return Err(CommandError::usage("the mock listens on this machine only").hint("give a loopback address: 127.0.0.1:9000"));
    }
    let script = match &args.script {
        Some(path) => read_script(path)?,
        None => Script::default(),
    };
    runtime::block_on(async {
        let config = Config { listen: args.listen, script, seed: args.seed, ..Config::long_running() };
        let mock =
            Mock::start(config).await.map_err(|error| CommandError::failure(format!("cannot listen on {}: {error}", args.listen)))?;
        context.io.stdout.line(&mock.base_url());
        context.io.stdout.flush();
        context.note("The mock answers; Ctrl-C stops it.");
        pending().await
    })
}

fn read_script(path: &std::path::Path) -> Result<Script, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| CommandError::failure(format!("cannot read {}: {error}", path.display())))?;
    Script::parse(&text).map_err(|error| CommandError::failure(format!("{}: {error}", path.display())))
}
