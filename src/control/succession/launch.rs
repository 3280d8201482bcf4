//! Starting a successor: the same program with the same arguments, or another one, which takes over by itself.
//!
//! Rule: whatever becomes of it, this gateway goes on serving unless it has been taken over.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::host::Handed;
use crate::control::shared::Shared;

/// The argument that makes a gateway take over.
const TAKE_OVER: &str = "--take-over";
/// How often it is looked whether a successor has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How this gateway was started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub binary: PathBuf,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
}

impl Program {
    /// Tells how this process was started: by the name that it was called by, so that what stands there now is what a successor runs.
    ///
    /// None where nobody can tell.
    pub fn this() -> Option<Self> {
        let mut args = std::env::args_os();
        let called = PathBuf::from(args.next()?);
        let binary = match called.components().count() {
            1 => {
                let found = |path: OsString| std::env::split_paths(&path).map(|place| place.join(&called)).find(|path| path.is_file());
                std::env::var_os("PATH").and_then(found).or_else(|| std::env::current_exe().ok())?
            }
            // The directory may change, and a link be changed: neither is followed now.
            _ => std::path::absolute(&called).ok()?,
        };
        Some(Self { binary, args: args.collect() })
    }
}

/// Why there is no successor.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum LaunchError {
    /// It could not be started.
    #[error("{} cannot be started: {source}", binary.display())]
    Start {
        /// The executable.
        binary: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended before it had taken over.
    #[error("the new gateway ended without taking over ({0}); its messages are on the standard error of the running one")]
    Ended(ExitStatus),
    /// It was not ready in time, and was ended.
    #[error("the new gateway was not ready within {} s and was ended", .0.as_secs())]
    TimedOut(Duration),
    /// Somebody else has taken over meanwhile.
    #[error("another gateway has taken over meanwhile (process {0})")]
    Other(u32),
}

/// Starts a successor and waits until it has taken over.
///
/// # Errors
/// [`LaunchError`]; then the successor has ended.
pub(in crate::control) async fn launch(
    shared: &Shared,
    program: &Program,
    binary: Option<PathBuf>,
    patience: Duration,
) -> Result<Handed, LaunchError> {
    let binary = binary.unwrap_or_else(|| program.binary.clone());
    let mut command = Command::new(&binary);
    command.args(&program.args);
    if !program.args.iter().any(|argument| argument == TAKE_OVER) {
        command.arg(TAKE_OVER);
    }
    // Sockets that the service manager passed were this process's.
    for variable in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        command.env_remove(variable);
    }
    let child = command.stdin(Stdio::null()).spawn().map_err(|source| LaunchError::Start { binary, source })?;
    let pid = child.id();
    tracing::info!(pid, "a new gateway is started to take over");
    let handed = watch(shared, child, patience).await?;
    if handed.pid == pid { Ok(handed) } else { Err(LaunchError::Other(handed.pid)) }
}

async fn watch(shared: &Shared, mut child: Child, patience: Duration) -> Result<Handed, LaunchError> {
    let mut handed = shared.handed.subscribe();
    let until = Instant::now() + patience;
    loop {
        if let Ok(Ok(told)) = tokio::time::timeout(LOOK, handed.wait_for(Option::is_some)).await
            && let Some(told) = told.clone()
        {
            return Ok(told);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(LaunchError::Ended(status));
        }
        if Instant::now() >= until {
            // One that has just ended cannot be killed, which is as good.
            let _ = child.kill();
            let _ = child.wait();
            return Err(LaunchError::TimedOut(patience));
        }
    }
}
