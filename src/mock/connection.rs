//! One connection: request, behaviour, answer, until either side ends it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;

use super::deliver::{Delivery, Next};
use super::dialect;
use super::grammar::split_model;
use super::http::{self, NoRequest, Request};
use super::openai::Ask;
use super::record::{Ending, Exchange, Recorded, Records};
use super::script::{Facts, Playing};
use super::wire::Wire;
use super::{Behaviour, FaultError, plan};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) records: Arc<Records>,
    /// Guards the script's counters; held while one behaviour is picked.
    pub(super) script: Mutex<Playing>,
    pub(super) seed: u64,
    /// Seconds since the Unix epoch; the real time without it.
    pub(super) created: Option<u64>,
    pub(super) models: Vec<String>,
}

/// Serves a connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, mut stream: impl Wire, (number, peer): (u64, SocketAddr)) {
    let mut input = BytesMut::new();
    loop {
        let request = match http::read(&mut stream, &mut input).await {
            Ok(request) => request,
            Err(NoRequest::Closed) => return,
            Err(NoRequest::Cut(request)) => {
                begin(&shared, &request, (number, peer)).ending = Ending::RequestCut;
                return;
            }
            Err(NoRequest::Bad(why)) => return refuse(&mut stream, why).await,
        };
        let mut exchange = begin(&shared, &request, (number, peer));
        let plan = decide(&shared, &request, exchange.number);
        let delivery = Delivery { stream: &mut stream, input: &mut input, exchange: &mut exchange };
        match delivery.run(&plan).await {
            Next::Continue => {}
            Next::Close => return,
        }
    }
}

async fn refuse(stream: &mut impl Wire, why: &str) {
    let body = format!("mock: {why}\n");
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length";
    // The client may be gone; the connection ends either way.
    let _ = stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
}

fn begin(shared: &Shared, request: &Request, (connection, peer): (u64, SocketAddr)) -> Exchange {
    shared.records.begin(Recorded {
        number: 0,
        connection,
        peer,
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        head: request.head.clone(),
        body: request.body.clone(),
        sent: 0,
        contents: 0,
        elapsed: Duration::ZERO,
        ending: Ending::Running,
    })
}

fn decide(shared: &Shared, request: &Request, number: u64) -> plan::Plan {
    let (dialect, json) = match dialect::read(request) {
        Some((dialect, json)) => (Some(dialect), json),
        None => (None, serde_json::from_slice::<Map<String, Value>>(&request.body).ok()),
    };
    let asked = json.as_ref().and_then(|json| json.get("model")).and_then(Value::as_str);
    let form = asked.is_none().then(|| form_model(&request.body)).flatten();
    let (model, suffix) = split_model(asked.or(form.as_deref()).unwrap_or_default());
    let now = SystemTime::now();
    let unix = || now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (behaviour, bad_fault) = match behaviour(shared, request, (number, model, suffix)) {
        Ok(behaviour) => (behaviour, None),
        Err(error) => (Behaviour::default(), Some(error.to_string())),
    };
    let ask = Ask {
        request,
        dialect: dialect.as_ref(),
        bad_fault: bad_fault.as_deref(),
        json: json.as_ref(),
        model,
        behaviour: &behaviour,
        number,
        seed: shared.seed,
        created: shared.created.unwrap_or_else(unix),
        models: &shared.models,
    };
    plan::plan(&ask, now)
}

/// The header wins over the model's suffix, which wins over the script.
fn behaviour(shared: &Shared, request: &Request, (number, model, suffix): (u64, &str, Option<&str>)) -> Result<Behaviour, FaultError> {
    if let Some(line) = request.header("x-mock-fault").or(suffix) {
        return line.parse();
    }
    let facts = Facts { number, model, path: request.path(), headers: &request.headers };
    Ok(shared.script.lock().unwrap_or_else(PoisonError::into_inner).next(facts))
}

/// Finds the model in a form; its part has one short line.
fn form_model(body: &[u8]) -> Option<String> {
    let start = memchr::memmem::find(body, b"name=\"model\"")?;
    let rest = body.get(start..)?;
    let value = rest.get(memchr::memmem::find(rest, b"\r\n\r\n")? + 4..)?;
    let value = value.get(..memchr::memmem::find(value, b"\r\n")?.min(256))?;
    Some(String::from_utf8_lossy(value).into_owned())
}
