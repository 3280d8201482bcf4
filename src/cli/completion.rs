//! `completion`: shell scripts that complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::CommandError;
use super::output::{Format, Outcome};

/// Prints a shell's completion script.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl completion bash > ~/.local/share/bash-completion/completions/bifrostctl
  bifrostctl completion zsh > ~/.zfunc/_bifrostctl
  bifrostctl completion fish > ~/.config/fish/completions/bifrostctl.fish";

pub(super) const FORMATS: &[Format] = &[Format::Human];

pub(super) fn run(args: &Args) -> Result<Outcome, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bifrostctl", &mut script);
    let script = String::from_utf8(script).map_err(|_| CommandError::failure("the completion script is not UTF-8"))?;
    Ok(Outcome::ok("").text(script))
}
