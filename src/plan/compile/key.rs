//! Teams and virtual keys. Days and times become RFC 3339 in UTC.

use jiff::{Timestamp, civil::Date};

use super::budget;
use super::limits::limits;
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types as plan;
use crate::spec::{self, Diagnostic};

pub(super) fn team(spec: &spec::Team) -> plan::Team {
    plan::Team {
        description: spec.description.clone(),
        renamed_from: spec.renamed_from.clone(),
        models: spec.models.clone(),
        budgets: budget::references(&spec.budgets),
        limits: limits(&spec.limits),
    }
}

pub(super) fn virtual_key(found: &mut Findings<'_>, name: &str, spec: &spec::VirtualKey) -> plan::VirtualKey {
    plan::VirtualKey {
        hashes: spec
            .hashes
            .iter()
            .enumerate()
            .map(|(index, hash)| plan::KeyHash {
                sha256: hash.sha256,
                not_after: time(found, hash.not_after.as_deref(), || {
                    pointer(&["virtual_keys", name, "hashes", &index.to_string(), "not_after"])
                }),
            })
            .collect(),
        renamed_from: spec.renamed_from.clone(),
        team: spec.team.clone(),
        models: spec.models.clone(),
        budgets: budget::references(&spec.budgets),
        expires: time(found, spec.expires.as_deref(), || pointer(&["virtual_keys", name, "expires"])),
        disabled: spec.disabled,
        routing_headers: spec.routing_headers,
        priority: spec.priority.unwrap_or_default(),
        labels: spec.labels.clone(),
        limits: limits(&spec.limits),
    }
}

pub(super) fn time(found: &mut Findings<'_>, text: Option<&str>, place: impl Fn() -> String) -> Option<String> {
    let text = text?;
    let normal = normalise(text);
    if normal.is_none() {
        let problem = Diagnostic::error(codes::BAD_TIME, "expected a day or a time")
            .help("write `2027-06-30` (00:00 UTC of that day) or `2027-06-30T12:00:00Z`");
        found.add(On::Value, place(), problem);
    }
    normal
}

/// Makes `2027-06-30`, or a time with its offset, an RFC 3339 time in UTC. What is later than can be told in every time zone is refused.
fn normalise(text: &str) -> Option<String> {
    // jiff reads a date out of a longer text as well, and would lose the rest of it.
    let is_day = text.len() == "2027-06-30".len();
    let time = if is_day { format!("{}T00:00:00Z", text.parse::<Date>().ok()?) } else { text.to_owned() };
    time.parse::<Timestamp>().ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn a_day_means_its_first_moment_in_utc() {
        for (text, expected) in [
            ("2027-06-30", Some("2027-06-30T00:00:00Z")),
            ("2027-06-30T12:00:00Z", Some("2027-06-30T12:00:00Z")),
            ("2027-06-30T12:00:00+02:00", Some("2027-06-30T10:00:00Z")),
            ("2027-06-30T12:00:00", None),
            ("2027-02-30", None),
            ("9999-12-31", None),
            ("2027-6-30", None),
            ("30.06.2027", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(normalise(text).as_deref(), expected, "{text}");
        }
    }
}
