//! `--allow CODE[=until:DATE]`: warnings that somebody has decided to live with, for a time.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::explain;
use crate::cli::codes::{ALLOWANCE_EXPIRED, ALLOWANCE_UNUSED};
use crate::spec::{Diagnostic, Severity};

/// One `--allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowance {
    code: &'static str,
    until: Option<Date>,
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (code, until) = match text.split_once('=') {
            Some((code, rest)) => {
                let date = rest.strip_prefix("until:").ok_or("expected CODE or CODE=until:DATE")?;
                let date = date.parse().map_err(|_| "expected a day after `until:`, such as 2027-01-01")?;
                (code, Some(date))
            }
            None => (text, None),
        };
        Ok(Self { code: explain::find(code)?.code, until })
    }
}

impl Allowance {
    /// Returns whether it has ended: at midnight UTC in the beginning of its day.
    fn has_ended(&self, unix_ms: u64) -> bool {
        let now = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        match (self.until, now) {
            (Some(until), Some(now)) => TimeZone::UTC.to_datetime(now).date() >= until,
            (Some(_), None) | (None, _) => false,
        }
    }
}

/// Takes allowed warnings out of the list. Returns what is to be said of the allowances themselves.
pub(super) fn filter(allowances: &[Allowance], found: &mut Vec<Diagnostic>, unix_ms: u64) -> Vec<Diagnostic> {
    let mut said = Vec::new();
    for allowance in allowances {
        let code = allowance.code;
        let matches = |found: &Diagnostic| found.code == code && found.severity != Severity::Error;
        let errors = found.iter().filter(|found| found.code == code && found.severity == Severity::Error).count();
        let hits = found.iter().filter(|found| matches(found)).count();
        match allowance.until.filter(|_| allowance.has_ended(unix_ms)) {
            Some(until) => said.push(
                Diagnostic::warning(ALLOWANCE_EXPIRED, format!("the allowance of {code} ended on {until}"))
                    .help("mend what it allowed, or decide anew and give a later day"),
            ),
            None if hits > 0 => found.retain(|found| !matches(found)),
            None if errors > 0 => said.push(
                Diagnostic::warning(ALLOWANCE_UNUSED, format!("{code} is an error here, and errors cannot be allowed"))
                    .help(format!("drop `--allow {code}`")),
            ),
            None => said.push(
                Diagnostic::warning(ALLOWANCE_UNUSED, format!("nothing of code {code} was found"))
                    .help(format!("drop `--allow {code}`, so that it hides nothing later")),
            ),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15T08:00:00Z.
    const NOW: u64 = 1_800_000_000_000;

    fn found() -> Vec<Diagnostic> {
        vec![Diagnostic::warning("BF0206", "unused"), Diagnostic::error("BF0207", "unknown"), Diagnostic::warning("BF0402", "nothing")]
    }

    fn filtered(allow: &str) -> (Vec<&'static str>, Vec<&'static str>) {
        let mut list = found();
        let said = filter(&[allow.parse().unwrap()], &mut list, NOW);
        (list.iter().map(|found| found.code).collect(), said.iter().map(|found| found.code).collect())
    }

    #[test]
    fn an_allowance_drops_its_warnings_and_nothing_else() {
        assert_eq!(filtered("BF0206"), (vec!["BF0207", "BF0402"], vec![]));
        assert_eq!(filtered("bf0206=until:2027-01-16"), (vec!["BF0207", "BF0402"], vec![]));
    }

    #[test]
    fn an_allowance_ends_at_midnight_utc_and_says_so() {
        let all = vec!["BF0206", "BF0207", "BF0402"];
        assert_eq!(filtered("BF0206=until:2027-01-15"), (all, vec!["BF0603"]));
    }

    #[test]
    fn an_allowance_without_effect_is_a_warning_and_errors_cannot_be_allowed() {
        let all = vec!["BF0206", "BF0207", "BF0402"];
        assert_eq!(filtered("BF0207"), (all.clone(), vec!["BF0604"]));
        assert_eq!(filtered("BF0210"), (all, vec!["BF0604"]));
    }

    #[test]
    fn an_allowance_names_a_code_that_exists_and_a_day() {
        for (text, said) in [
            ("BF0299", "no such code"),
            ("BF0207=2027-01-01", "expected CODE or CODE=until:DATE"),
            ("BF0207=until:tomorrow", "expected a day after `until:`"),
            ("", "no such code"),
        ] {
            let error = text.parse::<Allowance>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
