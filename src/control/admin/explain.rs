//! `POST /v1/explain`: a question to the running table.

use super::answer::Answer;
use super::change::read;
use crate::control::apply::Reply;
use crate::control::shared::Shared;
use crate::server::RequestBody;
use crate::table::explain::{Moment, Question, explain as answer};

/// Answers from the running table and its live health.
///
/// # Errors
/// 400 for a question that cannot be answered.
pub(super) async fn explain(shared: &Shared, body: RequestBody) -> Result<Answer, Reply> {
    let question: Question = read(body).await?;
    let at = Moment { unix_ms: shared.clock.unix_ms(), now_ms: shared.clock.monotonic_ms(), roll: 0 };
    let table = shared.live.load();
    match answer(&table, &question, at) {
        Ok(told) => Ok(Answer::json(200, &serde_json::json!(told))),
        Err(error) => Err(Reply::error(400, "bad_request", error.to_string())),
    }
}
