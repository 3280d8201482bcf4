//! A gateway as a process of its own, under load: what is counted are errors, what is measured are times and memory.
//!
//! Each load has a short form, which runs with the other tests and asserts only what holds on a machine of any speed, and a long one, which is
//! ignored unless asked for, is sized by the environment and prints its figures. `ci/load` runs the long ones one after another.
//!
//! Rule: the gateway is never in this process, so that its memory, descriptors and threads are its own; the upstream and the clients are.

mod client;
mod gateway;
mod gone;
mod overload;
mod rate;
mod reloads;
mod slow;
mod slowloris;
mod soak;
mod streams;

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bifrostctl::mock::{Config, Mock, Script};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Reads a size from the environment.
fn knob<T: FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// Says a figure.
#[expect(clippy::print_stdout, reason = "the long forms are run for their figures")]
fn say(line: impl Display) {
    println!("{line}");
}

/// Starts an upstream that does the same each time, and lets this process and its children open as many files as they may.
async fn upstream(behaviour: &str) -> Mock {
    // Whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let limit = getrlimit(Resource::Nofile);
    // It may be as high as it gets already.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let mock = Mock::start(Config::long_running()).await.unwrap();
    mock.script(Script::always(behaviour.parse().unwrap()));
    mock
}

/// Times, of which shares are asked.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    /// The time that so many of a thousand are not above.
    fn at(&mut self, permille: usize) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        self.0.get((self.0.len() * permille / 1000).min(last)).copied().unwrap_or_default()
    }

    /// Median, 99th percentile and the longest.
    fn told(&mut self) -> String {
        let (half, most, longest) = (self.at(500), self.at(990), self.at(1000));
        format!("p50 {half:.2?}, p99 {most:.2?}, longest {longest:.2?}")
    }
}
