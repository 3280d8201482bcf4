//! The process log: what an operator reads about the process itself. Requests are in the access log, not here.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::{SystemTime, uptime};

/// The variable whose value filters the process log, as `info,bifrostctl::control=debug`.
pub const FILTER_VARIABLE: &str = "BIFROST_LOG";

/// Starts the process log on standard error: for people on a terminal, JSON lines otherwise. `filter` is the value of
/// [`FILTER_VARIABLE`]; without one, `info`.
///
/// # Errors
/// The filter cannot be read, or a process log was started before.
pub fn init(filter: Option<&str>) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(filter.unwrap_or("info"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if io::stderr().is_terminal() {
        builder.with_timer(uptime()).with_target(false).compact().try_init()
    } else {
        builder.with_timer(SystemTime).json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    started.map_err(|_| LogError::Started)
}

/// Why the process log did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("BIFROST_LOG is not a log filter such as `info` or `warn,bifrostctl::control=debug`: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// There is one already.
    #[error("the process log was started before")]
    Started,
}
