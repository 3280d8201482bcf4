//! `bench`: what it counts, against the deterministic upstream and a gateway of its own process.

use bifrostctl::base::Digest;
use bifrostctl::mock::{Config, Mock};
use rustix::process::Signal;
use serde_json::Value;

use super::serve::Serving;
use super::{Done, Place};

const CANARY: &str = "sk-CANARY-bench-key";

async fn bench(place: Place, args: &[&str]) -> Done {
    let line: Vec<String> = ["bench"].iter().chain(args).map(|word| (*word).to_owned()).collect();
    tokio::task::spawn_blocking(move || place.run(&line.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap()
}

async fn upstream() -> Mock {
    Mock::start(Config::long_running()).await.unwrap()
}

fn count(side: &Value, name: &str) -> u64 {
    side[name].as_u64().unwrap_or_else(|| panic!("{name}: {side}"))
}

#[tokio::test]
async fn both_sides_are_asked_in_turn_and_every_request_is_counted_once() {
    let (mock, other) = (upstream().await, upstream().await);
    let place = Place::new().env("BIFROST_KEY", CANARY).file("direct.key", "sk-direct");
    let (url, direct) = (mock.base_url(), other.base_url());
    let args = ["--url", &url, "--model", "m", "--direct", &direct, "--direct-model", "n", "--direct-key-file", "direct.key"];
    let args = args.into_iter().chain(["--connections", "4", "--for", "300ms", "--warm-up", "0s", "--prompt", "100", "-o", "json"]);
    let done = bench(place, &args.collect::<Vec<_>>()).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.stdout.contains("CANARY") && !done.stderr.contains("CANARY"));
    let told = &done.json()["result"];
    let (gateway, direct) = (&told["gateway"], &told["direct"]);
    assert_eq!((mock.arrived(), other.arrived()), (count(gateway, "answers"), count(direct, "answers")));
    assert!(mock.arrived().abs_diff(other.arrived()) <= 4 && mock.arrived() > 4, "{told}");
    assert_eq!((count(gateway, "failed"), &gateway["first_content_us"]["p50"]), (0, &Value::Null));
    assert!(count(&gateway["latency_us"], "p50") <= count(&gateway["latency_us"], "max"));
    let seen = &mock.requests()[0];
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert_eq!((seen.json()["model"].as_str(), seen.json()["messages"][0]["content"].as_str().unwrap().len()), (Some("m"), 100));
    let seen = &other.requests()[0];
    assert_eq!((seen.header("authorization"), seen.json()["model"].as_str()), (Some("Bearer sk-direct"), Some("n")));
}

#[tokio::test]
async fn a_rate_is_kept_and_times_count_from_when_a_request_was_due() {
    let mock = upstream().await;
    let url = mock.base_url();
    let model = "m@first_token_delay=30ms;chunks=3";
    let args = ["--url", &url, "--model", model, "--rate", "50", "--for", "400ms", "--warm-up", "0s", "--stream", "-o", "json"];
    let told = bench(Place::new(), &args).await.json()["result"]["gateway"].clone();
    assert_eq!((count(&told, "answers"), mock.arrived()), (20, 20));
    let (first, whole) = (count(&told["first_content_us"], "p50"), count(&told["latency_us"], "p50"));
    assert!(first >= 30_000 && whole >= first, "{told}");
}

#[tokio::test]
async fn failures_are_told_by_what_they_were_and_a_run_without_an_answer_fails() {
    let mock = upstream().await;
    let url = mock.base_url();
    let of = async |fault: &str, more: &[&str]| {
        let model = format!("m@{fault}");
        let args = ["--url", &url, "--model", &model, "--connections", "1", "--for", "50ms", "--warm-up", "0s"];
        bench(Place::new(), &[&args, more].concat()).await
    };
    for (fault, more, said) in [
        ("status=429", &[][..], "429 rate_limit_exceeded"),
        ("cut_at=event:2;chunks=5", &["--stream"], "EOF"),
        ("error_at=0", &["--stream"], "answered no request"),
        ("no_done", &["--stream"], "a stream that was cut"),
    ] {
        let done = of(fault, more).await;
        assert!(done.code == 1 && done.stderr.contains(said), "{fault}: {done:?}");
    }
    let done = of("delay=0ms", &[]).await;
    assert!(done.code == 0 && done.stdout.contains("gateway") && done.stdout.contains("p99"), "{done:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for args in [&["--rate", "0"][..], &["--rate", "5", "--connections", "2"], &["--direct-model", "n"], &["--prompt", "0"]] {
        let done = super::run(&[&["bench", "--model", "m"], args].concat());
        assert_eq!(done.code, 64, "{args:?}: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_this_machine_tells_what_it_used() {
    let mock = upstream().await;
    let digest = Digest::of(CANARY.as_bytes());
    let spec = format!(
        "version: 1\ngateway: {{listen: \"127.0.0.1:0\"}}\n\
         providers: {{up: {{api: openai-chat, base_url: \"{}\", credentials: {{d: {{secret: none}}}}}}}}\n\
         models: {{fast: {{targets: [up/m]}}}}\ntelemetry: {{access_log: off}}\n\
         virtual_keys: {{web: {{hashes: [{{sha256: {digest}}}], models: [fast]}}}}\n",
        mock.base_url()
    );
    let place = Place::new().env("BIFROST_KEY", CANARY).file("gateway.yaml", &spec);
    let gateway = Serving::start(&place, &["--watch", "off"]);
    let (url, direct) = (gateway.url(), mock.base_url());
    let args = ["--url", &url, "--model", "fast", "--direct", &direct, "--direct-model", "m", "--for", "300ms", "--warm-up", "50ms"];
    let line: Vec<&str> = ["bench"].into_iter().chain(args).collect();
    let (human, told) = tokio::task::block_in_place(|| (place.run(&line), place.run(&[line.as_slice(), &["-o", "json"]].concat()).json()));
    assert!(human.code == 0 && human.stdout.contains("µs of CPU for each answer") && human.stdout.contains("added"), "{human:?}");
    let process = &told["result"]["process"];
    assert!(count(process, "cpu_us_per_answer") > 0 && count(process, "rss_bytes") > 1 << 20, "{told}");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, 0);
}
