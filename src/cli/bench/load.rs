//! The load itself: requests in turn to each side, at a rate or as fast as so many connections are answered.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::super::admin::root_cause;
use super::tally::{Tally, Times};
use crate::base::Secret;
use crate::wire::frame::{Sse, fields};

/// Most requests that run at once where a rate is kept: a side that answers none would otherwise be given all there is.
const MOST: usize = 20_000;

/// Whom requests go to.
pub(super) struct Side {
    /// What it is called by.
    pub(super) url: String,
    /// Where requests go.
    pub(super) to: String,
    pub(super) key: Option<Secret<String>>,
    pub(super) body: Bytes,
    pub(super) client: reqwest::Client,
}

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// Requests a second, to each side.
    Rate(u32),
    /// Requests at once.
    Connections(u32),
}

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) pace: Pace,
    pub(super) span: Duration,
    pub(super) stream: bool,
}

/// Runs the load; returns what came of it, side by side.
pub(super) async fn run(sides: &[Side], plan: Plan) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); sides.len()];
    if plan.span.is_zero() {
        return tallies;
    }
    match plan.pace {
        Pace::Rate(rate) => at_rate(sides, (rate, plan), &mut tallies).await,
        Pace::Connections(count) => at_once(sides, (count, plan), &mut tallies).await,
    }
    tallies.into_iter().map(Tally::sorted).collect()
}

/// Each connection asks each side in turn, again as soon as it is answered.
async fn at_once(sides: &[Side], (count, plan): (u32, Plan), tallies: &mut [Tally]) {
    let end = Instant::now() + plan.span;
    let mut running: FuturesUnordered<_> = (0..count as usize).map(|turn| take(sides, plan, turn)).collect();
    while let Some((turn, place, came)) = running.next().await {
        if let Some(tally) = tallies.get_mut(place) {
            tally.add(came);
        }
        if Instant::now() < end {
            running.push(take(sides, plan, turn + 1));
        }
    }
}

/// Asks the side whose turn it is.
async fn take(sides: &[Side], plan: Plan, turn: usize) -> (usize, usize, Result<Times, String>) {
    let place = turn % sides.len().max(1);
    (turn, place, ask(sides.get(place), plan.stream, Instant::now()).await)
}

/// Requests start when they are due.
async fn at_rate(sides: &[Side], (rate, plan): (u32, Plan), tallies: &mut [Tally]) {
    let began = Instant::now();
    let each = Duration::from_secs(1) / rate.saturating_mul(u32::try_from(sides.len()).unwrap_or(1)).max(1);
    let mut running = FuturesUnordered::new();
    let mut number = 0_u32;
    loop {
        let due = began + each * number;
        let is_over = due >= began + plan.span;
        if is_over && running.is_empty() {
            return;
        }
        tokio::select! {
            biased;
            () = sleep_until(due), if !is_over => {
                let place = number as usize % sides.len().max(1);
                number += 1;
                if running.len() < MOST {
                    let asked = ask(sides.get(place), plan.stream, due);
                    running.push(async move { (place, asked.await) });
                } else if let Some(tally) = tallies.get_mut(place) {
                    tally.add(Err(format!("not sent: {MOST} requests wait for their answers")));
                }
            }
            Some((place, came)) = running.next(), if !running.is_empty() => {
                if let Some(tally) = tallies.get_mut(place) {
                    tally.add(came);
                }
            }
        }
    }
}

/// Asks once. The times count from `due`.
async fn ask(side: Option<&Side>, stream: bool, due: Instant) -> Result<Times, String> {
    let Some(side) = side else { return Err("nobody to ask".to_owned()) };
    let mut post = side.client.post(&side.to).header(CONTENT_TYPE, "application/json").body(side.body.clone());
    if let Some(key) = &side.key {
        post = post.bearer_auth(key.expose());
    }
    let response = post.send().await.map_err(|error| root_cause(&error))?;
    let status = response.status().as_u16();
    if status != 200 {
        let body = response.bytes().await.unwrap_or_default();
        return Err(refusal(status, &body));
    }
    let first_content_us = if stream {
        Some(streamed(response, due).await?)
    } else {
        response.bytes().await.map_err(|error| root_cause(&error))?;
        None
    };
    Ok(Times { first_content_us, whole_us: us_since(due) })
}

/// Reads a stream to its end; returns when its first content came.
async fn streamed(response: reqwest::Response, due: Instant) -> Result<u64, String> {
    let (mut pieces, mut events) = (response.bytes_stream(), Sse::default());
    let (mut first, mut is_whole) = (None, false);
    while let Some(piece) = pieces.next().await {
        events.push(piece.map_err(|error| root_cause(&error))?).map_err(|_| "an event was too large".to_owned())?;
        while let Some(event) = events.next_event() {
            let mut wrong = None;
            fields(&event, |data| match data.trim_ascii() {
                b"[DONE]" => is_whole = true,
                data if first.is_none() => match serde_json::from_slice::<Value>(data) {
                    Ok(chunk) if chunk.get("error").is_some() => wrong = Some(code(&chunk)),
                    Ok(chunk) => {
                        let content = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str);
                        first = content.filter(|content| !content.is_empty()).map(|_| us_since(due));
                    }
                    Err(_) => wrong = Some("an event that is not JSON".to_owned()),
                },
                data if data.starts_with(b"{\"error\"") => wrong = Some("an error within the stream".to_owned()),
                _ => {}
            });
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
        }
    }
    match (first, is_whole) {
        (Some(first), true) => Ok(first),
        (None, true) => Err("a stream without content".to_owned()),
        (_, false) => Err("a stream that was cut".to_owned()),
    }
}

fn refusal(status: u16, body: &[u8]) -> String {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    format!("{status} {}", code(&told)).trim_end().to_owned()
}

fn code(told: &Value) -> String {
    told.pointer("/error/code").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn us_since(due: Instant) -> u64 {
    u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX)
}
