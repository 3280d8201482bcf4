//! The fault matrix: each way in which an upstream can fail × whole or streamed × before or after content × each format that upstreams speak,
//! for clients of OpenAI's and of the same format; with the attempts that were made, what the client sees, and what its key is charged.

pub(super) mod dialects;
mod rows;

use bifrostctl::mock::{Behaviour, Script};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use self::dialects::{Client, Upstream};
use self::rows::{Charge, Place, Row};
use super::harness::Rig;
use super::money::budget;

/// Cells at once: most of those that take time wait for an upstream that is silent.
const AT_ONCE: usize = 12;

/// A token of input costs one nano-dollar, one of output ten thousand: a sum tells both.
const OUTPUT: i64 = 10_000;

/// Whether the upstream fails once, or always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Once,
    Always,
}

async fn rig(upstream: &Upstream, row: &Row, often: Often) -> Rig {
    Rig::start_with(|plan| {
        plan["prices"] =
            json!({"one/*": {"input": "$0.001/Mtok", "output": "$10/Mtok"}, "two/*": {"input": "$0.001/Mtok", "output": "$10/Mtok"}});
        plan["virtual_keys"]["web"]["budgets"] = json!([budget("$1000", "strict")]);
        for name in ["one", "two"] {
            let provider = &mut plan["providers"][name];
            provider["api"] = json!(upstream.api);
            provider["quirks"]["responses"] = json!(true);
            if row.is_silent() && (name == "one" || often == Often::Always) {
                provider["timeouts"] =
                    json!({"connect": "5s", "first_byte": "400ms", "first_content": "400ms", "idle": "400ms", "total": "10s"});
            }
            if row.fault == "refused" && (name == "one" || often == Often::Always) {
                // Nothing listens on the discard port of loopback.
                provider["base_url"] = json!("http://127.0.0.1:9/v1");
            }
        }
    })
    .await
}

/// The attempts as `1x 1y 2`: `x` is the credential that was drawn first.
fn tries(rig: &Rig) -> String {
    let tried = rig.tried();
    let first = tried.iter().find(|name| *name != "C").cloned();
    let word = |name: &String| match name.as_str() {
        "C" => "2",
        _ if Some(name) == first.as_ref() => "1x",
        _ => "1y",
    };
    tried.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// What the key is charged, where it is what the cell says; else in figures.
fn charged(rig: &Rig, charge: Charge) -> String {
    let table = rig.gateway.live.load();
    let key = table.keys.values().next().unwrap();
    let standing = key.payer.budgets[0].1.standing(rig.gateway.clock.unix_ms());
    let (input, output) = (standing.spent.nano() % OUTPUT, standing.spent.nano() / OUTPUT);
    let is_so = standing.held.nano() == 0
        && match charge {
            Charge::Nothing => (input, output) == (0, 0),
            Charge::Whole => (input, output) == (10, 4),
            Charge::Input => input > 0 && output == 0,
            Charge::InputAndWhole => input > 10 && output == 4,
            Charge::Came => input > 0 && output == 2,
            Charge::AllCame => input > 0 && output == 4,
        };
    if is_so { format!("{charge:?}") } else { format!("{input} in, {output} out, {} held", standing.held) }
}

/// Returns what is wrong with a cell.
async fn wrong(upstream: Upstream, client: Client, row: Row, often: Often) -> Option<String> {
    let cell = if often == Often::Once { row.once } else { row.always? };
    let rig = rig(&upstream, &row, often).await;
    let (sees, charge) = rows::otherwise(&cell, &row, (&upstream, client));
    let fault = row.fault.replace("EARLY", &upstream.early.to_string()).replace("LATE", &upstream.late.to_string());
    let behaviour: Behaviour = if fault == "refused" { Behaviour::default() } else { fault.parse().expect(&fault) };
    rig.mock.script(if often == Often::Once { Script::sequence([behaviour]) } else { Script::always(behaviour) });
    let is_stream = row.place != Place::Whole;
    let seen = client.ask(&rig, is_stream).await;
    let got = (tries(&rig), client.sees(&seen, is_stream), charged(&rig, charge));
    let wants = (cell.tries.to_owned(), sees, format!("{charge:?}"));
    let attempts: usize = seen.headers["x-bifrost-attempts"].to_str().unwrap().parse().unwrap();
    let made = rig.mock.requests().len() + cell.unreached;
    (got != wants || attempts != made).then(|| {
        let cell = format!("{} to {client:?}, {often:?}, {:?}: {fault}", upstream.name, row.place);
        format!("{cell}\n  wants {wants:?} in {made} attempts\n  got   {got:?} in {attempts}")
    })
}

async fn all(upstream: Upstream) {
    let rows = rows::all();
    let mut cells = Vec::new();
    for client in upstream.clients {
        for row in &rows {
            cells.push(wrong(upstream, *client, *row, Often::Once));
            cells.push(wrong(upstream, *client, *row, Often::Always));
        }
    }
    let count = cells.len();
    let wrong: Vec<String> = stream::iter(cells).buffer_unordered(AT_ONCE).filter_map(async |wrong| wrong).collect().await;
    assert!(wrong.is_empty(), "{} of {count} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_chat_completions_is_met_as_written() {
    all(dialects::CHAT).await;
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_responses_is_met_as_written() {
    all(dialects::RESPONSES).await;
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_anthropic_is_met_as_written() {
    all(dialects::ANTHROPIC).await;
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_gemini_is_met_as_written() {
    all(dialects::GEMINI).await;
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_bedrock_is_met_as_written() {
    all(dialects::BEDROCK).await;
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_cohere_is_met_as_written() {
    all(dialects::COHERE).await;
}

#[tokio::test]
async fn every_fault_of_an_upstream_that_speaks_ollama_is_met_as_written() {
    all(dialects::OLLAMA).await;
}
