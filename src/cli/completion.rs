//! `completion`: shell scripts that complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::env::Shells;

use super::args::Cli;
use super::complete;
use super::exit::CommandError;
use super::output::{Format, Outcome};

/// Prints a shell's completion script: commands, options, and the names that stand in the spec.
///
/// The script asks bifrostctl itself at every press of the key, so it stays right when bifrostctl or the spec changes.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
    /// Prints a script that knows commands and options by heart, and no names.
    #[arg(long = "static")]
    is_static: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl completion bash > ~/.local/share/bash-completion/completions/bifrostctl
  bifrostctl completion zsh > ~/.zfunc/_bifrostctl
  bifrostctl completion fish > ~/.config/fish/completions/bifrostctl.fish";

pub(super) const FORMATS: &[Format] = &[Format::Human];

pub(super) fn run(args: &Args) -> Result<Outcome, CommandError> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    match shells.completer(&args.shell.to_string()).filter(|_| !args.is_static) {
        Some(completer) => completer
            .write_registration(complete::VARIABLE, "bifrostctl", "bifrostctl", "bifrostctl", &mut script)
            .map_err(|error| CommandError::failure(format!("cannot write the completion script: {error}")))?,
        None => clap_complete::generate(args.shell, &mut Cli::command(), "bifrostctl", &mut script),
    }
    let script = String::from_utf8(script).map_err(|_| CommandError::failure("the completion script is not UTF-8"))?;
    Ok(Outcome::ok("").text(script))
}
