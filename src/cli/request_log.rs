//! The access log as commands read it: one JSON line for each request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::context::Context;
use super::exit::CommandError;
use super::input::Checked;
use crate::base::Usd;
use crate::plan::AccessLog;

/// Longest line; what is longer is none of ours. Bytes.
const LONGEST: usize = 256 << 10;

/// A line, as far as commands look at it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    pub(crate) time: String,
    pub(crate) request_id: String,
    pub(crate) revision: u64,
    pub(crate) endpoint: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) team: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) uses: Vec<String>,
    pub(crate) max_output: Option<u64>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) alias: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) loss: Option<String>,
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) stream: bool,
    pub(crate) duration_ms: u64,
    pub(crate) ttft_ms: Option<u64>,
    pub(crate) tokens_in: Option<u64>,
    pub(crate) tokens_out: Option<u64>,
    pub(crate) cost: Option<Usd>,
}

/// One call of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Attempt {
    pub(crate) target: String,
    pub(crate) credential: Option<String>,
    pub(crate) outcome: String,
    pub(crate) detail: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) ms: u64,
    /// Made beside another one that took long.
    pub(crate) hedge: bool,
}

/// Where the log is: the file that was named, else the one that the spec names.
///
/// # Errors
/// A usage error where the log goes to a stream, which somebody else keeps.
pub(crate) fn place(named: Option<&Path>, checked: &Checked) -> Result<PathBuf, CommandError> {
    match (named, &checked.plan.telemetry.access_log) {
        (Some(path), _) => Ok(path.to_owned()),
        (None, AccessLog::File(path)) => Ok(PathBuf::from(path)),
        (None, AccessLog::Stdout | AccessLog::Stderr | AccessLog::Off) => Err(CommandError::usage("the spec's access log is no file")
            .hint("name the file in which its lines are kept, with --log; `-` reads standard input")),
    }
}

/// Reads a log line by line; what is no line of ours is counted and passed over.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn each(path: &Path, context: &mut Context<'_>, mut take: impl FnMut(Line)) -> Result<u64, CommandError> {
    let name = path.display().to_string();
    let wrong = |error: std::io::Error| CommandError::failure(format!("cannot read {name}: {error}"));
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(&mut context.io.stdin),
        false => Box::new(std::fs::File::open(path).map_err(wrong)?),
    };
    let mut reader = BufReader::new(input);
    let (mut line, mut passed_over) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST as u64).read_until(b'\n', &mut line).map_err(wrong)?;
        if read == 0 {
            return Ok(passed_over);
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(read) if !read.request_id.is_empty() => take(read),
            Ok(_) | Err(_) if line.trim_ascii().is_empty() => {}
            Ok(_) | Err(_) => passed_over += 1,
        }
    }
}
