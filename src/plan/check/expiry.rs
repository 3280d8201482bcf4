//! Keys and digests whose time is over. The one check that needs a clock.

use jiff::Timestamp;

use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::Plan;
use crate::spec::Diagnostic;

/// Reports what is over at `now_unix_ms`. A key that is over is reported once, not once more for each digest.
pub(in crate::plan) fn expired(found: &mut Findings<'_>, plan: &Plan, now_unix_ms: u64) {
    let is_over = |end: &Option<String>| {
        let end = end.as_ref().and_then(|end| end.parse::<Timestamp>().ok());
        end.is_some_and(|end| u64::try_from(end.as_millisecond()).unwrap_or_default() <= now_unix_ms)
    };
    for (name, key) in &plan.virtual_keys {
        if is_over(&key.expires) {
            let problem =
                Diagnostic::warning(codes::KEY_EXPIRED, format!("key `{name}` has expired")).help("remove the key, or set a later day");
            found.add(On::Value, pointer(&["virtual_keys", name, "expires"]), problem);
            continue;
        }
        for (index, _) in key.hashes.iter().enumerate().filter(|(_, hash)| is_over(&hash.not_after)) {
            let problem = Diagnostic::warning(codes::HASH_EXPIRED, format!("a digest of key `{name}` is no longer accepted"))
                .help("remove the digest: the rotation is over");
            found.add(On::Value, pointer(&["virtual_keys", name, "hashes", &index.to_string(), "not_after"]), problem);
        }
    }
}
