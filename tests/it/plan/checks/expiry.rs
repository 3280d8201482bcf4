//! What only a clock can tell.

use bifrostctl::plan::{compile, compile_at};

use super::super::support::loaded;
use super::spec;

const KEYS: &str = "virtual_keys:
  over: {hashes: [{sha256: \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", not_after: 2026-01-01}], models: [m], expires: 2027-06-30}
  rotated: {hashes: [{sha256: \"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\", not_after: 2027-06-30}], models: [m]}
";
/// 2027-06-30T00:00:00Z.
const DAY: u64 = 1_814_313_600_000;

fn found(now: u64) -> Vec<String> {
    let compiled = compile_at(&loaded(&spec(KEYS)), now).unwrap();
    compiled.warnings.into_iter().map(|found| format!("{} {}", found.code, found.pointer.unwrap())).collect()
}

#[test]
fn a_key_is_over_from_the_first_moment_of_its_day() {
    assert_eq!(found(DAY - 1), ["BF0405 /virtual_keys/over/hashes/0/not_after"]);
    assert_eq!(found(DAY), ["BF0404 /virtual_keys/over/expires", "BF0405 /virtual_keys/rotated/hashes/0/not_after"]);
    assert_eq!(found(0), [""; 0]);
}

#[test]
fn the_plan_does_not_depend_on_the_time() {
    let loaded = loaded(&spec(KEYS));
    let without = compile(&loaded).unwrap();
    assert!(without.warnings.is_empty());
    assert_eq!(without.plan, compile_at(&loaded, u64::MAX).unwrap().plan);
}
