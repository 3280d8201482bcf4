//! `GET /v1/spend`: what was spent, by whom and on what.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::answer::Answer;
use super::query::{number, pairs};
use crate::control::apply::Reply;
use crate::control::shared::Shared;
use crate::store::StoreError;
use crate::store::book::{BookError, Dimension, Question, Report, told};

/// Answers from the book: `by=key,day`, `from` and `to` in Unix milliseconds, `timezone`, `account`, and any dimension as a filter.
///
/// # Errors
/// 400 for what cannot be asked; 503 while the book cannot be read.
pub(super) async fn spend(shared: &Arc<Shared>, query: &str) -> Result<Answer, Reply> {
    let question = question(query)?;
    let told = with_report(shared, move |report| report.spend(&question).map(|groups| told::spend(&question, &groups))).await?;
    Ok(Answer::json(200, &told))
}

/// Lets somebody ask the book, away from the runtime.
///
/// # Errors
/// 503 while it cannot be read.
pub(super) async fn with_report<T: Send + 'static>(
    shared: &Arc<Shared>,
    ask: impl FnOnce(&mut Report) -> Result<T, BookError> + Send + 'static,
) -> Result<T, Reply> {
    let book = shared.book.clone();
    let cannot = |why: String| Reply::error(503, "book_unreadable", why);
    let asked = tokio::task::spawn_blocking(move || {
        let mut report = book.report().map_err(|error: StoreError| error.to_string())?;
        ask(&mut report).map_err(|error| error.to_string())
    });
    asked.await.map_err(|_| cannot("reading the book ended unexpectedly".to_owned()))?.map_err(cannot)
}

fn question(query: &str) -> Result<Question, Reply> {
    let bad = |message: String| Reply::error(400, "bad_request", message);
    let mut question = Question { admitted_ms: 0..u64::MAX, by: Vec::new(), only: Vec::new(), account: None, zone: TimeZone::UTC };
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "from" => question.admitted_ms.start = number("from", &value)?,
            "to" => question.admitted_ms.end = number("to", &value)?,
            "timezone" => {
                question.zone = TimeZone::get(&value).map_err(|_| bad("`timezone` is a name such as Europe/Berlin".to_owned()))?;
            }
            "account" => question.account = Some(value),
            "by" => {
                for word in value.split(',').filter(|word| !word.is_empty()) {
                    question.by.push(Dimension::read(word).ok_or_else(|| bad(format!("`by` takes {}", words(|_| true))))?);
                }
            }
            _ => match Dimension::read(&name).filter(|dimension| dimension.is_filter()) {
                Some(dimension) => question.only.push((dimension, value)),
                None => return Err(bad(format!("there is no parameter of that name; filters are {}", words(Dimension::is_filter)))),
            },
        }
    }
    Ok(question)
}

fn words(which: impl Fn(Dimension) -> bool) -> String {
    let words: Vec<&str> = Dimension::ALL.into_iter().filter(|dimension| which(*dimension)).map(Dimension::word).collect();
    words.join(", ")
}
