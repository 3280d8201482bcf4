//! The thin binary: everything lives in the library.

use std::process::ExitCode;

use bifrostctl::cli::{self, Io};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &mut Io::process()).into()
}
