//! Two gateways as processes that count a limit together, on the PostgreSQL and the Redis that `ci/test` starts.

use std::time::Instant;

use bifrostctl::base::Digest;
use bifrostctl::mock::{Config, Mock};
use serde_json::Value;

use super::Place;
use super::serve::Serving;

const KEY: &str = "sk-bf-a-key-for-one-test";

fn spec(upstream: &str, key: &str, redis: &str) -> String {
    let digest = Digest::of(KEY.as_bytes());
    format!(
        "version: 1\ngateway:\n  listen: 127.0.0.1:0\n  replicas: 2\n  state: {{postgres: {{env: DATABASE_URL}}, schema: {schema}{redis}}}\n\
         providers: {{up: {{api: openai-chat, base_url: \"{upstream}\", credentials: {{d: {{secret: none}}}}}}}}\n\
         models: {{fast: {{targets: [up/m]}}}}\ntelemetry: {{access_log: off}}\n\
         virtual_keys: {{{key}: {{hashes: [{{sha256: {digest}}}], models: [fast], limits: {{requests: {{rate: 60/h, burst: 9}}}}}}}}\n",
        schema = key.replace('-', "_"),
    )
}

/// Asks both gateways in turns, as often as told; returns how many answers each gave, and the last headers.
async fn ask(serving: &[Serving], times: usize) -> (Vec<usize>, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut served, mut told) = (vec![0; serving.len()], Value::Null);
    for turn in 0..times {
        let place = turn % serving.len();
        let body = r#"{"model":"fast","messages":[{"role":"user","content":"Hi"}]}"#;
        let url = format!("{}/chat/completions", serving[place].url());
        let answer = http.post(url).header("authorization", format!("Bearer {KEY}")).body(body).send().await.unwrap();
        match answer.status().as_u16() {
            200 => served[place] += 1,
            429 => told = serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
    (served, told)
}

/// Starts two gateways whose Redis is at the address in a variable; trusting those in a file, where one is named.
async fn serve(redis: &str, name: &str, (server, roots): (&str, Option<String>)) -> Option<(Mock, Vec<Serving>)> {
    let (database, server) = (std::env::var("DATABASE_URL").ok()?, std::env::var(server).ok()?);
    let roots = roots.unwrap_or_default();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mock = Mock::start(Config::long_running()).await.unwrap();
    let key = format!("{name}-{}", std::process::id());
    let spec = spec(&mock.base_url(), &key, redis);
    let place = || Place::new().file("gateway.yaml", &spec).env("DATABASE_URL", &database).env("REDIS_URL", &server);
    let trusting = |place: Place| if roots.is_empty() { place } else { place.env("SSL_CERT_FILE", &roots) };
    let serving = [trusting(place()), trusting(place())].map(|place| Serving::start(&place, &["--watch", "off"]));
    Some((mock, serving.into()))
}

#[tokio::test]
async fn two_gateways_let_in_one_burst_whoever_is_asked() {
    let Some((_mock, serving)) = serve(", redis: {env: REDIS_URL}", "together", ("REDIS_URL", None)).await else { return };
    // Nine, and one for each minute that this takes.
    let began = Instant::now();
    let (served, told) = ask(&serving, 16).await;
    let minutes = usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    let all: usize = served.iter().sum();
    assert!((9..=9 + minutes + 1).contains(&all), "{served:?}");
    assert!(served.iter().all(|count| *count >= 4), "each lets in what comes to it: {served:?}");
    assert_eq!(told["error"]["code"], "rate_limited", "{told}");
}

#[tokio::test]
async fn two_gateways_without_a_redis_let_in_half_of_it_each() {
    let Some((_mock, serving)) = serve("", "apart", ("REDIS_URL", None)).await else { return };
    let (served, _) = ask(&serving, 16).await;
    assert_eq!(served, [4, 4]);
}

#[tokio::test]
async fn a_redis_by_tls_is_believed_where_the_system_knows_who_vouches_for_it() {
    let Ok(roots) = std::env::var("SERVER_CA") else { return };
    let redis = ", redis: {env: REDIS_URL}";
    let Some((_mock, serving)) = serve(redis, "encrypted", ("REDIS_TLS_URL", Some(roots))).await else { return };
    let (served, _) = ask(&serving, 16).await;
    assert!(served.iter().sum::<usize>() >= 9, "they count together: {served:?}");
    let Some((_mock, serving)) = serve(redis, "stranger", ("REDIS_TLS_URL", None)).await else { return };
    assert_eq!(ask(&serving, 16).await.0, [4, 4], "nobody talks to a stranger");
}

#[tokio::test]
async fn a_redis_that_cannot_be_named_is_told_with_its_place() {
    let Ok(database) = std::env::var("DATABASE_URL") else { return };
    let spec = spec("http://127.0.0.1:1", "unnamed", ", redis: {env: REDIS_URL}");
    let place = Place::new().file("gateway.yaml", &spec).env("DATABASE_URL", &database);
    let done = place.run(&["serve"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("gateway.yaml:5:") && done.stderr.contains("REDIS_URL"), "{}", done.stderr);
    let done = place.env("REDIS_URL", "http://:canary@127.0.0.1:1").run(&["serve"]);
    assert!(done.code == 3 && done.stderr.contains("names no Redis"), "{done:?}");
    assert!(!format!("{done:?}").contains("canary"), "{done:?}");
}
