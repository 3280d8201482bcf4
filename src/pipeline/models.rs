//! `GET /v1/models`: the aliases that the key may use.

use http::{Response, StatusCode};
use serde_json::json;

use super::refusal::{Refusal, no_such_model, usable};
use super::{Reply, respond};
use crate::table::{Key, RoutingTable};

/// Lists the aliases that the key may use, or shows one. `below` is the path below `/v1`.
///
/// # Errors
/// A model that the key may not see.
pub(super) fn answer(table: &RoutingTable, key: Option<&Key>, below: &str) -> Result<Response<Reply>, Refusal> {
    let entry = |name: &str| json!({"id": name, "object": "model", "created": 0, "owned_by": "bifrostctl"});
    let body = match below.strip_prefix("/models/") {
        Some(name) if usable(table, key).any(|known| known == name) => entry(name),
        Some(name) => return Err(no_such_model(name, table, key)),
        None => json!({"object": "list", "data": usable(table, key).map(entry).collect::<Vec<_>>()}),
    };
    Ok(respond::json(StatusCode::OK, body.to_string().into_bytes()))
}
