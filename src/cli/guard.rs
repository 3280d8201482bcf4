//! `--auto-rollback`: watching what clients get from a new revision, and going back when it is errors.
//!
//! Rule: only answers since the change count, and few of them prove nothing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::admin::{Admin, Call};
use super::exit::CommandError;
use crate::base::Span;

/// How often the gateway is asked.
const POLL: Duration = Duration::from_secs(1);
/// So many answers are needed before a share means something. At the end of the time, fewer do.
const ENOUGH: u64 = 20;

/// When a change is taken back: `errors>5%/2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guard {
    percent: u64,
    within: Span,
}

impl FromStr for Guard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (share, within) = text.strip_prefix("errors>")?.split_once('/')?;
            let percent = share.strip_suffix('%')?.parse().ok().filter(|percent| *percent < 100)?;
            Some(Self { percent, within: within.parse().ok().filter(|within: &Span| !within.get().is_zero())? })
        };
        read().ok_or_else(|| "expected a share of errors and a time, such as `errors>5%/2m`".to_owned())
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errors>{}%/{}", self.percent, self.within)
    }
}

/// What clients were answered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    all: u64,
    /// Of them, with 5xx.
    errors: u64,
}

/// How a change held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Whether it is to be taken back.
    pub(crate) failed: bool,
    /// What clients were answered since.
    pub(crate) since: Answers,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} answers were errors", self.errors, self.all)
    }
}

impl Answers {
    /// Returns what came between two looks. Where the counters stand lower than before, the gateway was started anew.
    const fn since(self, before: Self) -> Self {
        if self.all < before.all || self.errors < before.errors {
            return self;
        }
        Self { all: self.all - before.all, errors: self.errors - before.errors }
    }

    const fn plus(self, more: Self) -> Self {
        Self { all: self.all.saturating_add(more.all), errors: self.errors.saturating_add(more.errors) }
    }

    const fn exceeds(self, percent: u64) -> bool {
        self.errors.saturating_mul(100) > self.all.saturating_mul(percent)
    }

    /// Sums up what `/metrics` says.
    fn read(text: &str) -> Self {
        let mut answers = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("bifrost_requests_total{")) {
            let Some((labels, value)) = line.rsplit_once("} ") else { continue };
            let Some(count) = value.split(' ').next().and_then(|value| value.parse::<u64>().ok()) else { continue };
            answers.all += count;
            if labels.split(',').any(|label| label.starts_with("status=\"5")) {
                answers.errors += count;
            }
        }
        answers
    }
}

/// Asks what clients were answered so far.
///
/// # Errors
/// As [`Admin::send`]; a failure where the gateway tells no metrics.
pub(crate) async fn answers(admin: &Admin) -> Result<Answers, CommandError> {
    let answer = admin.send(Call::get("/metrics")).await?;
    if answer.status != 200 || !answer.text.contains("bifrost_") {
        return Err(CommandError::failure("the gateway tells no metrics, by which --auto-rollback judges")
            .hint("`telemetry: {metrics: admin}` has them on the admin API"));
    }
    Ok(Answers::read(&answer.text))
}

/// Watches until the time is over, or a share of errors is proven. A gateway that does not answer now may do so before the time is over.
///
/// # Errors
/// Those of [`answers`], where they last until the time is over.
pub(crate) async fn watch(admin: &Admin, guard: Guard, before: Answers) -> Result<Held, CommandError> {
    let end = tokio::time::Instant::now() + guard.within.get();
    let (mut last, mut since) = (before, Answers::default());
    loop {
        let is_over = tokio::time::Instant::now() >= end;
        match answers(admin).await {
            Ok(now) => {
                since = since.plus(now.since(last));
                last = now;
            }
            Err(error) if is_over => return Err(error),
            Err(_) => {}
        }
        if since.exceeds(guard.percent) && (since.all >= ENOUGH || is_over) {
            return Ok(Held { failed: true, since });
        }
        if is_over {
            return Ok(Held { failed: false, since });
        }
        tokio::time::sleep_until(end.min(tokio::time::Instant::now() + POLL)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_a_share_and_a_time() {
        let guard: Guard = "errors>5%/2m".parse().unwrap();
        assert_eq!((guard.percent, guard.within.get(), guard.to_string().as_str()), (5, Duration::from_secs(120), "errors>5%/2m"));
        for bad in ["", "errors>5%", "errors>5/2m", "errors>100%/2m", "errors>5%/0s", "errors<5%/2m", "latency>5%/2m"] {
            assert!(bad.parse::<Guard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_are_summed_over_all_series() {
        let text = "# TYPE bifrost_requests counter\n\
            bifrost_requests_total{endpoint=\"chat_completions\",alias=\"fast\",status=\"200\"} 90\n\
            bifrost_requests_total{endpoint=\"chat_completions\",alias=\"fast\",status=\"502\"} 8\n\
            bifrost_requests_total{endpoint=\"messages\",alias=\"none\",status=\"5xx\"} 2\n\
            bifrost_requests_total{endpoint=\"messages\",alias=\"none\",status=\"429\"} 1\nbifrost_other_total{status=\"500\"} 7\n";
        let answers = Answers::read(text);
        assert_eq!(answers, Answers { all: 101, errors: 10 });
        assert!(answers.exceeds(9) && !answers.exceeds(10));
        assert_eq!(answers.since(Answers { all: 100, errors: 10 }), Answers { all: 1, errors: 0 });
        // Who was started anew counts anew.
        assert_eq!(answers.since(Answers { all: 900, errors: 3 }), answers);
    }
}
