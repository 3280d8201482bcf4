//! Prices: as they are written, with the days as times.

use super::key::time;
use crate::plan::finding::{Findings, pointer};
use crate::spec;

pub(super) fn price(found: &mut Findings<'_>, key: &str, spec: &spec::Price) -> spec::Price {
    let from = time(found, spec.from.as_deref(), || pointer(&["prices", key, "from"]));
    spec::Price { from, ..spec.clone() }
}
