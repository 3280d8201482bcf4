//! Money on the data path: what is reserved, refused, charged, at every end that a request can have.

use std::sync::Arc;

use bifrostctl::base::{Clock as _, SystemClock, Usd};
use bifrostctl::limit::budget::Standing;
use bifrostctl::mock::{Behaviour, Config, Ending, Mock, Script};
use bifrostctl::pipeline::Reply;
use bifrostctl::server::{Handler as _, Peer, RequestBody};
use bifrostctl::store::book::{Book, Question};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::harness::{KEY, Rig, Seen};

/// A gateway that books, whose models of provider `one` cost $1 for a million tokens in and $10 out; of `two`, nothing is known.
pub(super) struct Paid {
    pub(super) rig: Rig,
    book: Book,
    _folder: TempDir,
}

impl Paid {
    pub(super) async fn start(budgets: Value, change: impl FnOnce(&mut Value)) -> Self {
        let rig = Rig::start_with(|plan| {
            plan["prices"] = json!({"one/*": {"input": "$1/Mtok", "output": "$10/Mtok"}});
            plan["virtual_keys"]["web"]["budgets"] = budgets;
            plan["models"]["fast"]["fallbacks"] = json!([]);
            change(plan);
        })
        .await;
        let folder = TempDir::new().unwrap();
        let now_ms = SystemClock::default().unix_ms();
        let (book, _) = Book::open(&folder.path().join("book"), now_ms, Arc::new(|failure: &_| panic!("{failure}"))).unwrap();
        let (ledger, given) = (Arc::clone(&rig.gateway.services.ledger), book.clone());
        tokio::task::spawn_blocking(move || ledger.attach(given)).await.unwrap().unwrap();
        Self { rig, book, _folder: folder }
    }

    /// Returns what the key has spent, by the book.
    pub(super) async fn spent(&self) -> Usd {
        self.book.flush().durable().await.unwrap();
        self.book.usage("key:web", 0..u64::MAX).unwrap()
    }

    /// Returns what the book has for output, by model.
    pub(super) async fn billed(&self, question: &Question) -> Vec<(String, u64)> {
        self.book.flush().durable().await.unwrap();
        let groups = self.book.report().unwrap().spend(question).unwrap();
        groups.into_iter().map(|group| (group.values[0].clone().unwrap_or_default(), group.totals.output)).collect()
    }

    async fn ask(&self, body: Value) -> Seen {
        self.rig.chat(body.to_string()).await
    }

    /// Sends a request and gives its answer before its body is read.
    pub(super) async fn open(&self, body: Value) -> http::Response<Reply> {
        let request = Request::post("/v1/chat/completions")
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .body(RequestBody::from(Bytes::from(body.to_string())))
            .unwrap();
        self.rig.gateway.handle(request, Peer::default()).await
    }

    /// Returns whether the book adds up.
    pub(super) fn is_clean(&self) -> bool {
        self.book.report().unwrap().audit().unwrap().is_clean()
    }

    pub(super) fn held(&self) -> Usd {
        self.standing().held
    }

    fn standing(&self) -> Standing {
        let table = self.rig.gateway.live.load();
        let key = table.keys.values().next().unwrap();
        key.payer.budgets[0].1.standing(SystemClock::default().unix_ms())
    }
}

/// One budget in the plan's own form.
pub(super) fn budget(limit: &str, mode: &str) -> Value {
    json!({"limit": limit, "period": "month", "timezone": "UTC", "mode": mode, "alerts": [], "unpriced": "deny", "when_exhausted": "deny",
        "on_store_error": "deny"})
}

fn chat(extra: Value) -> Value {
    let mut body = json!({"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

/// What an answer of the mock costs by its own usage.
fn bill(usage: &Value) -> i64 {
    usage["prompt_tokens"].as_i64().unwrap() * 1_000 + usage["completion_tokens"].as_i64().unwrap() * 10_000
}

#[tokio::test]
async fn an_answer_costs_what_its_usage_says_and_the_client_may_see_it() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    let seen = paid.ask(chat(json!({}))).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let cost = Usd::from_nano(bill(&seen.json()["usage"]));
    assert!(cost > Usd::ZERO);
    assert_eq!(seen.headers["x-bifrost-cost"], cost.to_string());
    assert_eq!((paid.spent().await, paid.held()), (cost, Usd::ZERO));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_budget_is_not_over_by_a_nano_dollar_under_a_hammer() {
    let paid = Paid::start(json!([budget("$0.02", "strict")]), |_| {}).await;
    let client = async || {
        let (mut billed, mut refused) = (0, 0);
        while refused < 3 {
            let seen = paid.ask(chat(json!({"max_tokens": 7}))).await;
            match seen.status {
                StatusCode::OK => billed += bill(&seen.json()["usage"]),
                StatusCode::PAYMENT_REQUIRED => refused += 1,
                other => panic!("{other}: {}", seen.text()),
            }
        }
        billed
    };
    let billed: i64 = join_all((0..64).map(|_| client())).await.into_iter().sum();
    assert_eq!(paid.spent().await, Usd::from_nano(billed));
    assert!((19_000_000..=20_000_000).contains(&billed), "{billed}");
    assert_eq!(paid.held(), Usd::ZERO);
    // Nobody is in the way any more, and still the next one does not fit.
    let seen = paid.ask(chat(json!({"max_tokens": 100}))).await;
    assert_eq!(seen.status, StatusCode::PAYMENT_REQUIRED);
    let told = seen.json()["error"].clone();
    assert_eq!((told["code"].as_str(), told["type"].as_str()), (Some("budget_exceeded"), Some("insufficient_quota")));
    let text = told["message"].as_str().unwrap();
    assert!(text.contains("`key:web per month`") && text.contains("of $0.02 is spent") && text.contains("may cost"), "{text}");
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_not_sent_and_one_without_a_bound_says_what_to_do() {
    let paid = Paid::start(json!([budget("$0.0001", "strict")]), |_| {}).await;
    assert_eq!(paid.ask(chat(json!({}))).await.status, StatusCode::PAYMENT_REQUIRED);
    let mut unbounded = chat(json!({}));
    unbounded.as_object_mut().unwrap().remove("max_tokens");
    let seen = paid.ask(unbounded).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(seen.text().contains("send `max_tokens`"), "{}", seen.text());
    assert!(paid.rig.mock.requests().is_empty());
    assert_eq!(paid.spent().await, Usd::ZERO);
}

#[tokio::test]
async fn what_the_spec_says_of_a_models_longest_answer_bounds_a_request_that_says_nothing() {
    let capacity = |tokens: u64| json!({"*": {"max_input_tokens": 100_000, "max_output_tokens": tokens}});
    let unbounded = json!({"model": "fast", "messages": [{"role": "user", "content": "Hi"}]});
    let small = Paid::start(json!([budget("$0.05", "strict")]), |plan| plan["providers"]["one"]["capacity"] = capacity(1_000)).await;
    assert_eq!(small.ask(unbounded.clone()).await.status, StatusCode::OK);
    // Ten thousand tokens of output may cost ten cents.
    let large = Paid::start(json!([budget("$0.05", "strict")]), |plan| plan["providers"]["one"]["capacity"] = capacity(10_000)).await;
    assert_eq!(large.ask(unbounded).await.status, StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_allowed_or_passed_over_and_a_free_one_needs_no_budget() {
    let ask = json!({"model": "two/m", "messages": [{"role": "user", "content": "Hi"}]});
    // The built-in mock is free; a server of which nothing is known is not.
    let other = Mock::start(Config::default()).await.unwrap();
    let unknown = |plan: &mut Value| plan["providers"]["two"]["base_url"] = json!(other.base_url());
    let paid = Paid::start(json!([budget("$1", "strict")]), unknown).await;
    let seen = paid.ask(ask.clone()).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("model_unpriced")));
    let mut lenient = budget("$1", "strict");
    lenient["unpriced"] = json!("allow");
    let paid = Paid::start(json!([lenient]), unknown).await;
    assert_eq!(paid.ask(ask.clone()).await.status, StatusCode::OK);
    let spent_up = |plan: &mut Value| {
        unknown(plan);
        plan["prices"]["two/m"] = json!({"free": true});
    };
    let paid = Paid::start(json!([budget("$0", "strict")]), spent_up).await;
    assert_eq!(paid.ask(ask).await.status, StatusCode::OK);
    assert_eq!(paid.spent().await, Usd::ZERO);
    // In a chain, what has no price is passed over.
    let chained = |plan: &mut Value| {
        unknown(plan);
        plan["models"]["fast"]["targets"][0]["provider"] = json!("two");
        plan["models"]["fast"]["fallbacks"] = json!(["one/m"]);
    };
    let paid = Paid::start(json!([budget("$1", "strict")]), chained).await;
    let seen = paid.ask(chat(json!({}))).await;
    assert_eq!((seen.status, seen.headers["x-bifrost-target"].to_str().unwrap()), (StatusCode::OK, "one/m"));
}

#[tokio::test]
async fn an_exhausted_budget_can_move_requests_to_another_alias() {
    let mut moves = budget("$0.00001", "strict");
    moves["when_exhausted"] = json!({"use": "cheap"});
    let paid = Paid::start(json!([moves]), |plan| {
        plan["prices"]["two/m"] = json!({"free": true});
        plan["models"]["cheap"] = plan["models"]["fast"].clone();
        plan["models"]["cheap"]["targets"][0]["provider"] = json!("two");
    })
    .await;
    let seen = paid.ask(chat(json!({}))).await;
    assert_eq!((seen.status, seen.headers["x-bifrost-target"].to_str().unwrap()), (StatusCode::OK, "two/m"));
}

#[tokio::test]
async fn only_attempts_that_are_billed_cost_something() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |plan| plan["providers"]["one"]["retries"]["max"] = json!(0)).await;
    for fault in ["status=500", "status=429", "status=401", "status=400", "error=context_length"] {
        paid.rig.mock.script(Script::always(fault.parse().unwrap()));
        assert_ne!(paid.ask(chat(json!({}))).await.status, StatusCode::OK, "{fault}");
        assert_eq!((paid.spent().await, paid.held()), (Usd::ZERO, Usd::ZERO), "{fault}");
    }
    paid.rig.mock.script(Script::sequence(["status=500", ""].map(|fault| fault.parse::<Behaviour>().unwrap())));
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    paid.rig.mock.script(Script::sequence(["status=500", ""].map(|fault| fault.parse::<Behaviour>().unwrap())));
    let seen = paid.ask(chat(json!({}))).await;
    assert_eq!(seen.headers["x-bifrost-attempts"], "2");
    assert_eq!(paid.spent().await.nano(), bill(&seen.json()["usage"]));
}

#[tokio::test]
async fn what_nothing_limits_is_booked_as_well() {
    let paid = Paid::start(json!([]), |_| {}).await;
    let seen = paid.ask(chat(json!({}))).await;
    assert_eq!(paid.spent().await.nano(), bill(&seen.json()["usage"]));
    paid.ask(chat(json!({"stream": true}))).await;
    assert_eq!(paid.spent().await.nano(), 2 * bill(&seen.json()["usage"]));
    assert!(paid.is_clean());
}

#[tokio::test]
async fn a_stream_costs_what_its_hidden_usage_says() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    let seen = paid.ask(chat(json!({"stream": true}))).await;
    assert!(!seen.text().contains("\"usage\":{"), "{}", seen.text());
    let whole = paid.ask(chat(json!({}))).await;
    assert_eq!(paid.spent().await.nano(), 2 * bill(&whole.json()["usage"]));
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_came_until_then() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    paid.rig.mock.script(Script::always("chunks=50;chunk_delay=5ms".parse().unwrap()));
    let response = paid.open(chat(json!({"stream": true, "max_tokens": 60}))).await;
    let mut body = response.into_body();
    for _ in 0..10 {
        body.frame().await.unwrap().unwrap();
    }
    drop(body);
    let record = loop {
        let record = paid.rig.mock.requests().pop().unwrap();
        if record.ending != Ending::Running {
            break record;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(record.ending, Ending::ClientClosed);
    let input = paid.spent().await.nano() % 10_000;
    let output = (paid.spent().await.nano() - input) / 10_000;
    // Our own count of the input may be some tokens off; that of the output is exact but for what was on its way.
    assert!(output <= record.contents as i64 + 9 && output + 2 >= record.contents as i64, "{output} of {}", record.contents);
    assert_eq!(paid.held(), Usd::ZERO);
}

#[tokio::test]
async fn a_stream_that_is_cut_upstream_costs_what_came() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    paid.rig.mock.script(Script::always("chunks=40;cut_at=event:25".parse().unwrap()));
    let seen = paid.ask(chat(json!({"stream": true, "max_tokens": 50}))).await;
    assert!(seen.text().contains("upstream_truncated"), "{}", seen.text());
    let contents = paid.rig.mock.requests()[0].contents as i64;
    let spent = paid.spent().await.nano();
    assert!(contents > 5 && (contents * 10_000..(contents + 10) * 10_000).contains(&spent), "{spent} for {contents}");
}

#[tokio::test]
async fn a_progressive_stream_goes_on_step_by_step_and_ends_where_the_budget_does() {
    let ask = || {
        let mut body = chat(json!({"stream": true}));
        body.as_object_mut().unwrap().remove("max_tokens");
        body
    };
    // A step is 1,024 tokens of output: one fits, two and a half do not.
    let paid = Paid::start(json!([budget("$0.025", "progressive")]), |_| {}).await;
    paid.rig.mock.script(Script::always("chunks=4000".parse().unwrap()));
    let seen = paid.ask(ask()).await;
    assert!(seen.text().contains("budget_exceeded"), "{}", &seen.text()[seen.text().len() - 400..]);
    let spent = paid.spent().await.nano();
    assert!((10_000_000..25_000_000 + 10_240_000).contains(&spent), "{spent}");
    let paid = Paid::start(json!([budget("$0.08", "progressive")]), |_| {}).await;
    paid.rig.mock.script(Script::always("chunks=4000".parse().unwrap()));
    assert!(paid.ask(ask()).await.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(paid.held(), Usd::ZERO);
}

#[tokio::test]
async fn a_soft_budget_serves_until_it_is_spent() {
    let paid = Paid::start(json!([budget("$0.0003", "soft")]), |_| {}).await;
    let mut served = 0;
    while paid.ask(chat(json!({}))).await.status == StatusCode::OK {
        served += 1;
        assert!(served < 50);
    }
    assert!(served > 0 && paid.spent().await.nano() >= 300_000);
}

#[tokio::test]
async fn every_format_says_402_in_its_own_words() {
    let paid = Paid::start(json!([budget("$0", "strict")]), |_| {}).await;
    let auth = format!("Bearer {KEY}");
    let post =
        async |path: &str, body: Value| paid.rig.call("POST", path, &[("authorization", &auth)], Bytes::from(body.to_string())).await;
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let anthropic = post("/v1/messages", json!({"model": "fast", "max_tokens": 9, "messages": messages})).await;
    assert_eq!((anthropic.status.as_u16(), anthropic.json()["error"]["type"].as_str()), (402, Some("billing_error")));
    let gemini = json!({"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 9}});
    let gemini = post("/v1beta/models/fast:generateContent", gemini).await;
    assert_eq!((gemini.status.as_u16(), gemini.json()["error"]["status"].as_str()), (402, Some("RESOURCE_EXHAUSTED")));
    let embeddings = post("/v1/embeddings", json!({"model": "one/e", "input": "Hi"})).await;
    assert_eq!(embeddings.status, StatusCode::FORBIDDEN, "the key may not use one/*");
}

#[tokio::test]
async fn a_book_that_cannot_be_written_refuses_what_is_limited_and_nothing_else() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    paid.book.close_file();
    let seen = paid.ask(chat(json!({}))).await;
    assert_eq!((seen.status, seen.json()["error"]["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("ledger_unavailable")));
    let mut lenient = budget("$1", "strict");
    lenient["on_store_error"] = json!("allow");
    let paid = Paid::start(json!([lenient]), |_| {}).await;
    paid.book.close_file();
    assert_eq!(paid.ask(chat(json!({}))).await.status, StatusCode::OK);
    assert!(paid.standing().spent > Usd::ZERO, "what cannot be written is counted all the same");
    let paid = Paid::start(json!([]), |_| {}).await;
    paid.book.close_file();
    assert_eq!(paid.ask(chat(json!({}))).await.status, StatusCode::OK);
}
