//! Prices of generated specs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Keys of `prices`; those whose provider is there are used.
pub(super) const PRICED: [&str; 4] = ["local/qwen3*", "mistral/m", "openai/*", "openai/gpt-4o"];

/// Prices, one of each kind.
pub(super) fn price() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"input": "$1/Mtok", "output": "$2.50/Mtok"}),
        json!({"input": "$1.0/Mtok", "output": "$3/Mtok", "request": "$0.01/request"}),
        json!({"input": "$1/Mtok", "from": "2026-12-01", "above": {"200k": {"input": "$2/Mtok"}}, "batch": {"input": "$0.50/Mtok"}}),
        json!({"free": true}),
        json!({"as": "openai/gpt-4o"}),
    ])
}

/// How much fits into models, by patterns of their names.
pub(super) fn capacity() -> impl Strategy<Value = BTreeMap<&'static str, Value>> {
    let most = select(vec![json!({"max_output_tokens": 8192}), json!({"max_input_tokens": 9})]);
    prop::collection::btree_map(select(vec!["m*", "qwen3"]), most, 0..3)
}
