//! Questions to a person: yes or no, and a secret that is not shown while it is typed.

use std::io::{BufRead, BufReader, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::context::{Context, read_secret};
use super::exit::CommandError;
use crate::base::Secret;

/// Asks for a virtual key or a token: hidden on a terminal, else from standard input; never from the command line.
///
/// # Errors
/// A usage error when nothing came, or when a terminal would have to be asked under `--no-input`.
pub(crate) fn secret(context: &mut Context<'_>, what: &str) -> Result<Secret<String>, CommandError> {
    let text = if context.io.terminal.stdin {
        if context.global.no_input {
            return Err(CommandError::usage(format!("no {what} on standard input")).hint(format!("pipe the {what} in: `… < {what}.txt`")));
        }
        context.io.stderr.put(&format!("{what}: "));
        context.io.stderr.flush();
        let hidden = Hidden::start();
        let line = read_line(&mut context.io.stdin);
        drop(hidden);
        context.io.stderr.line("");
        line
    } else {
        read_secret(&mut context.io.stdin)
    };
    let text = text.map_err(|error| CommandError::failure(format!("cannot read the {what} from standard input: {error}")))?;
    if text.is_empty() {
        return Err(CommandError::usage(format!("no {what} on standard input")).hint(format!("pipe the {what} in: `… < {what}.txt`")));
    }
    Ok(Secret::new(text))
}

/// Asks a yes-or-no question; anything but `y` or `yes` is no.
///
/// The answer is read on a thread of its own, so that Ctrl-C is not held up by a read that nobody ends.
pub(crate) async fn confirm(context: &mut Context<'_>, question: &str) -> bool {
    context.io.stderr.put(&format!("{question} [y/N] "));
    context.io.stderr.flush();
    let mut stdin = std::mem::replace(&mut context.io.stdin, Box::new(std::io::empty()));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nobody waits any more when Ctrl-C came first.
        let _ = sender.send(read_line(&mut stdin));
    });
    match receiver.await {
        Ok(Ok(answer)) => matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn read_line(source: &mut (impl Read + ?Sized)) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(source.take(64 * 1024)).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Switches the terminal's echo off, and on again when dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn start() -> Self {
        let stdin = std::io::stdin();
        let Ok(before) = tcgetattr(&stdin) else {
            return Self(None);
        };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(&stdin, OptionalActions::Flush, &quiet) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing can be done about a terminal that has gone.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}
