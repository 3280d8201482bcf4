//! The providers of a scenario: in place of the network, the mock answers, as the test says for each attempt.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};
use tokio::io::DuplexStream;

use super::outcome::{Fate, fate};
use crate::base::glob;
use crate::mock::{Config, LocalMock, Recorded};
use crate::provider::{Attempted, Network};
use crate::spec::Outcomes;

/// The header by which the mock is told what to do.
const FAULT: &str = "x-mock-fault";

/// The providers, and how far their scripts have come.
#[derive(Debug)]
pub(super) struct Upstreams {
    mock: LocalMock,
    /// Guards how many outcomes each script has given.
    scripts: Mutex<Vec<Script>>,
}

#[derive(Debug)]
struct Script {
    /// `provider/model` or `provider/model:credential`, with `*`.
    pattern: String,
    /// Never empty.
    fates: Vec<Fate>,
    given: usize,
}

impl Upstreams {
    /// Makes them answer by these scripts.
    ///
    /// # Errors
    /// What is wrong with an outcome, and whose it is.
    pub(super) fn new(outcomes: &BTreeMap<String, Outcomes>) -> Result<Self, (String, String)> {
        let mut scripts = Vec::new();
        for (pattern, Outcomes(list)) in outcomes {
            let fates: Result<Vec<_>, _> = list.iter().map(fate).collect();
            let fates = fates.map_err(|why| (pattern.clone(), why))?;
            if !fates.is_empty() {
                scripts.push(Script { pattern: pattern.clone(), fates, given: 0 });
            }
        }
        // The longest decides; of equally long ones, the first by name.
        scripts.sort_by_key(|script| std::cmp::Reverse(script.pattern.len()));
        // A thousand long prompts would be much to remember, and nobody asks for more than the last.
        Ok(Self { mock: LocalMock::new(Config { records: 1, ..Config::default() }), scripts: scripts.into() })
    }

    /// Returns what they were asked last.
    pub(super) fn last(&self) -> Option<Recorded> {
        self.mock.requests().pop()
    }

    /// Takes the next outcome of an attempt; none where no script is for it.
    fn next(&self, attempted: Attempted<'_>) -> Option<Fate> {
        let target = format!("{}/{}", attempted.provider, attempted.model);
        let with_credential = format!("{target}:{}", attempted.credential);
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_for = |script: &&mut Script| glob::matches(&script.pattern, &target) || glob::matches(&script.pattern, &with_credential);
        let script = scripts.iter_mut().find(is_for)?;
        let place = script.given.min(script.fates.len().saturating_sub(1));
        script.given += 1;
        script.fates.get(place).cloned()
    }
}

impl Network for Upstreams {
    fn connect(&self, attempted: Option<Attempted<'_>>, headers: &mut HeaderMap) -> io::Result<DuplexStream> {
        let fate = attempted.and_then(|attempted| self.next(attempted)).unwrap_or(Fate::Answered(HeaderValue::from_static("")));
        // What a client or a spec says by this header is not for the providers of a test.
        headers.remove(FAULT);
        match fate {
            Fate::NoConnection => Err(io::ErrorKind::ConnectionRefused.into()),
            Fate::Answered(line) => {
                if !line.is_empty() {
                    headers.insert(FAULT, line);
                }
                Ok(self.mock.connect())
            }
        }
    }
}
