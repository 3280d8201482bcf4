//! `explain` against the data path: what it says is what happens.

use std::sync::atomic::Ordering;

use bifrostctl::base::Usd;
use bifrostctl::mock::{Config, Mock};
use bifrostctl::table::explain::{Explanation, Moment, Outcome, Question, explain};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::harness::{KEY, Rig, Seen};
use super::money::{Paid, budget};

/// Two targets of unequal weight, a round robin, rules, and a prompt that fails on some requests.
fn change(model: &mut Value) {
    let fast = model["models"]["fast"].clone();
    let targets = json!([{"provider": "one", "model": "m", "weight": 3}, {"provider": "two", "model": "n", "weight": 1}]);
    model["models"]["fast"]["targets"] = targets.clone();
    model["models"]["turns"] = fast.clone();
    model["models"]["turns"]["targets"] = targets;
    model["models"]["turns"]["balance"] = json!("round_robin");
    model["models"]["told"] = fast;
    model["models"]["told"]["prompt"] = json!({"system": "{{ headers['x-a'] }}", "position": "prepend"});
    model["rules"] = json!([
        {"name": "no", "when": "header('x-no', '') == '1'", "action": {"deny": {"status": 418, "message": "Not here."}}},
        {"name": "there", "when": "header('x-there', '') == '1'", "action": {"targets": [{"provider": "two", "model": "z", "weight": 1}]}},
    ]);
    model["virtual_keys"]["web"]["models"] = json!(["fast", "turns", "told", "two/*", "three/*"]);
}

impl Rig {
    fn explained(&self, question: &Question) -> Explanation {
        let clock = &self.gateway.clock;
        let roll = self.gateway.seed.load(Ordering::Relaxed);
        let at = Moment { unix_ms: clock.unix_ms(), now_ms: clock.monotonic_ms(), roll };
        explain(&self.gateway.live.load(), question, at).unwrap()
    }

    /// Sends what a question asks about.
    async fn sent(&self, question: &Question) -> Seen {
        let mut body = question.body.clone().unwrap_or_else(|| json!({"messages": []}));
        if let Some(body) = body.as_object_mut() {
            body.insert("model".to_owned(), json!(question.model));
        }
        let bearer = format!("Bearer {KEY}");
        let mut headers: Vec<(&str, &str)> = question.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.extend(question.key.as_ref().map(|_| ("authorization", bearer.as_str())));
        self.call("POST", "/v1/chat/completions", &headers, body.to_string().into()).await
    }
}

fn asks(model: &str) -> Question {
    Question { key: Some("web".to_owned()), model: Some(model.to_owned()), body: Some(json!({"messages": []})), ..Question::default() }
}

fn with_header(mut question: Question, name: &str) -> Question {
    question.headers.insert(name.to_owned(), "1".to_owned());
    question
}

#[tokio::test]
async fn the_target_and_the_credential_that_are_told_are_the_ones_that_are_tried() {
    let rig = Rig::start_with(change).await;
    let questions = [asks("fast"), asks("turns"), asks("two/m"), with_header(asks("fast"), "x-there"), with_header(asks("told"), "x-a")];
    for round in 0..8 {
        for question in &questions {
            let told = rig.explained(question);
            let seen = rig.sent(question).await;
            assert_eq!((told.outcome, seen.status.as_u16()), (Outcome::Routed, 200), "{}", seen.text());
            let first = &told.candidates[0];
            assert_eq!(seen.headers["x-bifrost-target"], first.target.as_str(), "{round} {question:?}");
            assert_eq!(rig.tried().last().unwrap().to_lowercase(), first.credentials[0].name, "{round} {question:?}");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_model_is_told_as_it_is_served_or_refused() {
    let rig = Rig::start_with(|model| {
        change(model);
        model["virtual_keys"]["web"]["models"] = json!(["one/*", "two/*"]);
    })
    .await;
    let files = |provider: Option<&str>, key: bool| {
        let headers = provider.map(|name| ("x-bifrost-provider".to_owned(), name.to_owned()));
        let key = Some("web".to_owned()).filter(|_| key);
        Question { key, endpoint: Some("other".to_owned()), headers: headers.into_iter().collect(), ..Question::default() }
    };
    let send = async |question: &Question| {
        let mut headers: Vec<(&str, &str)> = question.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.extend(question.key.as_ref().map(|_| ("x-api-key", KEY)));
        rig.call("GET", "/v1/files", &headers, Bytes::new()).await
    };
    let one = files(Some("one"), true);
    let told = rig.explained(&one);
    assert_eq!(send(&one).await.headers["x-bifrost-target"], told.candidates[0].target.as_str());
    let shares: Vec<_> = told.candidates[0].credentials.iter().map(|it| (it.name.as_str(), it.share_percent)).collect();
    assert_eq!(shares, [("a", Some(100)), ("b", None)], "by name, not by weight");
    assert_eq!(rig.tried(), ["A"]);

    for (provider, code) in
        [(Some("three"), "forbidden"), (None, "bad_request"), (Some("two"), "denied_by_rule"), (Some("two"), "rate_limited")]
    {
        let mut question = files(provider, true);
        if code == "denied_by_rule" {
            question = with_header(question, "x-no");
        } else if code == "rate_limited" {
            let now = rig.gateway.clock.monotonic_ms();
            rig.gateway.live.load().providers["two"].credentials[0].health.cool("*", now, Some(300_000));
        }
        let told = rig.explained(&question);
        let seen = send(&question).await;
        let denial = told.denial.unwrap_or_else(|| panic!("{question:?} is not refused"));
        let error = &seen.json()["error"];
        assert_eq!((error["code"].as_str(), denial.code.as_str()), (Some(code), code));
        assert_eq!((u64::from(seen.status.as_u16()), error["message"].as_str()), (u64::from(denial.status), Some(denial.message.as_str())));
        assert_eq!(told.excluded.len(), usize::from(code == "rate_limited"));
    }
    assert_eq!(rig.explained(&files(Some("one"), false)).denial.unwrap().status, 401);
}

#[tokio::test]
async fn the_refusal_that_is_told_is_the_one_that_is_sent() {
    let rig = Rig::start_with(change).await;
    let questions = [
        Question { key: None, ..asks("fast") },
        asks("one/m"),
        asks("fats"),
        asks("three/x"),
        with_header(asks("fast"), "x-no"),
        asks("told"),
        Question { body: Some(json!({"messages": "no list"})), ..with_header(asks("told"), "x-a") },
        Question { body: Some(json!("no object")), ..asks("fast") },
    ];
    for question in &questions {
        let told = rig.explained(question).denial.unwrap_or_else(|| panic!("{question:?} is not refused"));
        let seen = rig.sent(question).await;
        let error = &seen.json()["error"];
        let sent = (u64::from(seen.status.as_u16()), error["code"].as_str().unwrap(), error["message"].as_str().unwrap());
        assert_eq!(sent, (u64::from(told.status), told.code.as_str(), told.message.as_str()), "{question:?}");
    }
    assert!(rig.tried().is_empty(), "nothing went upstream");
}

#[tokio::test]
async fn what_a_budget_does_with_a_request_is_told_as_it_is_done() {
    let small = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20});
    let free_fall = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let cases = [
        ("$1", "fast", &small, None),
        ("$0.0001", "fast", &small, Some((402, "no_room"))),
        ("$1", "fast", &free_fall, Some((400, "unbounded"))),
        ("$1", "two/n", &small, Some((403, "unpriced"))),
    ];
    let other = Mock::start(Config::default()).await.unwrap();
    for (limit, model, body, refused) in cases {
        let paid = Paid::start(json!([budget(limit, "strict")]), |plan| {
            plan["virtual_keys"]["web"]["models"] = json!(["fast", "two/*"]);
            plan["providers"]["two"]["base_url"] = json!(other.base_url());
        })
        .await;
        let question = Question { body: Some(body.clone()), ..asks(model) };
        let told = paid.rig.explained(&question);
        let seen = paid.rig.sent(&question).await;
        let told_status = told.denial.as_ref().map_or(200, |denial| denial.status);
        let expected = refused.map_or(200, |(status, _)| status);
        assert_eq!((told_status, seen.status.as_u16()), (expected, expected), "{told:#?}");
        assert_eq!(told.excluded.first().map(|excluded| excluded.code.as_str()), refused.map(|(_, code)| code), "{told:#?}");
        if let Some(denial) = &told.denial {
            let message = seen.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with(&denial.message), "{message}\n{}", denial.message);
        }
    }
}

#[tokio::test]
async fn what_is_told_of_the_cost_is_what_is_held_and_asking_holds_nothing() {
    let paid = Paid::start(json!([budget("$1", "strict")]), |_| {}).await;
    let body = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1_000});
    let question = Question { body: Some(body), ..asks("fast") };
    let told = paid.rig.explained(&question);
    let cost = told.candidates[0].cost.as_ref().unwrap();
    let most = cost.most.unwrap();
    // A thousand tokens of output at ten dollars the million, and some hundred bytes of input at one.
    assert!((10_050_000..10_400_000).contains(&most.nano()), "{most}");
    assert!(cost.input.nano() > 0 && cost.input.nano() < 100_000, "{}", cost.input);
    let budget = &told.budgets[0];
    assert_eq!((budget.spent, budget.held), (Some(Usd::ZERO), Some(Usd::ZERO)));
    assert_eq!(paid.rig.sent(&question).await.status, StatusCode::OK);
    let after = paid.rig.explained(&question).budgets[0].clone();
    assert_eq!((after.spent, after.held), (Some(paid.spent().await), Some(Usd::ZERO)));
    assert!(after.spent > Some(Usd::ZERO));
}

#[tokio::test]
async fn where_a_request_moves_because_a_budget_is_exhausted_is_told() {
    let mut exhausted = budget("$0.0001", "strict");
    exhausted["when_exhausted"] = json!({"use": "turns"});
    let paid = Paid::start(json!([exhausted]), |plan| plan["models"]["turns"] = plan["models"]["fast"].clone()).await;
    let body = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1_000});
    let told = paid.rig.explained(&Question { body: Some(body), ..asks("fast") });
    assert_eq!((told.outcome, told.instead.as_deref()), (Outcome::Denied, Some("turns")));
}
