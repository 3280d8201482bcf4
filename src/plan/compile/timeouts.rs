//! Time limits: what is not written gives way to what is.

use crate::base::Span;
use crate::plan::types as plan;
use crate::spec;

/// Fills in what is not written, such that no default contradicts a written limit: a default is shortened to what surrounds it, and
/// lengthened to what it surrounds.
pub(super) fn timeouts(spec: &spec::Timeouts) -> plan::Timeouts {
    let longest = |inner: &[Option<Span>]| inner.iter().flatten().copied().max().unwrap_or_default();
    let total =
        spec.total.unwrap_or_else(|| Span::from_secs(900).max(longest(&[spec.connect, spec.first_byte, spec.first_content, spec.idle])));
    let first_content =
        spec.first_content.unwrap_or_else(|| Span::from_secs(120).max(longest(&[spec.connect, spec.first_byte])).min(total));
    let first_byte = spec.first_byte.unwrap_or_else(|| Span::from_secs(120).max(longest(&[spec.connect])).min(first_content));
    let connect = spec.connect.unwrap_or_else(|| Span::from_secs(5).min(first_byte));
    let idle = spec.idle.unwrap_or_else(|| Span::from_secs(60).min(total));
    plan::Timeouts { connect, first_byte, first_content, idle, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(written: &str) -> String {
        let spec: spec::Timeouts = serde_yaml::from_str(written).unwrap();
        let it = timeouts(&spec);
        format!("{} {} {} {} {}", it.connect, it.first_byte, it.first_content, it.idle, it.total)
    }

    #[test]
    fn defaults_give_way_to_what_is_written() {
        for (written, expected) in [
            ("{}", "5s 2m 2m 1m 15m"),
            ("{total: 10s}", "5s 10s 10s 10s 10s"),
            ("{total: 2s}", "2s 2s 2s 2s 2s"),
            ("{first_byte: 5m}", "5s 5m 5m 1m 15m"),
            ("{first_byte: 2s}", "2s 2s 2m 1m 15m"),
            ("{first_content: 30s}", "5s 30s 30s 1m 15m"),
            ("{first_content: 30m}", "5s 2m 30m 1m 30m"),
            ("{idle: 20m}", "5s 2m 2m 20m 20m"),
            ("{idle: 1s}", "5s 2m 2m 1s 15m"),
            ("{connect: 3m}", "3m 3m 3m 1m 15m"),
            ("{connect: 1s, total: 30s, idle: 5s}", "1s 30s 30s 5s 30s"),
        ] {
            assert_eq!(lowered(written), expected, "{written}");
        }
    }
}
