//! Hours in short: all kinds of clients, faults and departures at once, for as long as is wanted; what the process uses must stay level.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bifrostctl::mock::{Behaviour, Rule, Script, When};
use tokio::task::JoinSet;

use super::client::{Connection, Dialect, End};
use super::gateway::{self, Gateway, Uses, provider};
use super::rate::{Crowd, pace};
use super::{knob, say, upstream};

/// Faults, each met by every so-manyth request that the ones before do not take.
const FAULTS: [(u64, &str); 9] = [
    (23, "status=503"),
    (29, "status=429;retry_after_ms=50"),
    (31, "cut_at=event:4"),
    (37, "reset_at=start"),
    (41, "malformed_at=3"),
    (43, "error_at=2"),
    (47, "no_done"),
    (53, "error=context_length"),
    (59, "first_token_delay=300ms"),
];

fn script() -> Script {
    let every = |(every, line): (u64, &str)| {
        Rule { when: When { every: Some(every), ..When::default() }, ..Rule::default() }.then(line.parse::<Behaviour>().unwrap())
    };
    let rules = FAULTS.into_iter().map(every).chain([Rule::default().then("chunks=12;chunk_delay=3ms".parse().unwrap())]);
    rules.fold(Script::default(), Script::rule)
}

/// A spec with providers of three formats, and an alias that mixes them.
fn spec(url: &str) -> String {
    let of = |name: &str, api: &str, url: &str| provider(name, url).replacen("api: openai-chat", &format!("auth: none, api: {api}"), 1);
    let gemini = url.replace("/v1", "/v1beta");
    let providers = [provider("one", url), provider("two", url), of("claude", "anthropic", url), of("gemini", "gemini", &gemini)];
    let models = "fast: {targets: [one/m1, two/m2], fallbacks: [claude/m3]}, \
                  mixed: {targets: [claude/m3, gemini/m4, one/m1], balance: round_robin, fallbacks: [two/m2]}";
    gateway::spec(&providers, models)
}

/// How the requests ended.
#[derive(Debug, Default)]
struct Ends {
    whole: AtomicU64,
    told: AtomicU64,
    left: AtomicU64,
}

/// Asks for something, by its number; returns what was wrong with the answer.
async fn ask(crowd: Crowd, number: u64, ends: Arc<Ends>) -> Option<String> {
    let dialect = [Dialect::Openai, Dialect::Openai, Dialect::Anthropic, Dialect::Gemini][(number % 4) as usize];
    let is_stream = !(number / 4).is_multiple_of(3);
    let request = dialect.request(if (number / 12).is_multiple_of(2) { "fast" } else { "mixed" }, is_stream, 40);
    if number.is_multiple_of(17) {
        // Leaves, after some of the answer or none; whatever it has seen by then is no fault.
        let mut connection = Connection::open(crowd.address).await.unwrap();
        let read = async {
            connection.begin(&request).await?;
            for _ in 0..number / 17 % 5 {
                connection.next().await?;
            }
            Ok::<_, std::io::Error>(())
        };
        let _ = tokio::time::timeout(Duration::from_millis(number / 17 % 40), read).await;
        ends.left.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let answer = match crowd.ask(&request).await {
        Ok(answer) => answer,
        Err(error) => return Some(format!("{dialect:?}, {is_stream}: {error}")),
    };
    let counter = match dialect.judge(is_stream, &answer) {
        End::Whole => &ends.whole,
        End::Told => &ends.told,
        End::Broken => return Some(format!("{dialect:?}, {is_stream}: {answer:?}")),
    };
    counter.fetch_add(1, Ordering::Relaxed);
    None
}

fn memory(uses: &Uses) -> u64 {
    uses.resident >> 10
}

/// What the process used, and when.
#[derive(Debug, Default)]
struct Samples(Vec<(Duration, Uses)>);

impl Samples {
    /// The samples of one third.
    fn third(&self, number: usize) -> &[(Duration, Uses)] {
        let length = self.0.len() / 3;
        &self.0[number * length..(number + 1) * length]
    }

    fn mean(&self, third: usize, of: impl Fn(&Uses) -> u64) -> f64 {
        let samples = self.third(third);
        samples.iter().map(|(_, uses)| of(uses) as f64).sum::<f64>() / samples.len() as f64
    }

    /// The slope of memory after the first third, by least squares, in MiB an hour.
    fn slope(&self) -> f64 {
        let samples = &self.0[self.0.len() / 3..];
        let points: Vec<_> = samples.iter().map(|(at, uses)| (at.as_secs_f64() / 3_600.0, uses.resident as f64 / 1_048_576.0)).collect();
        let count = points.len() as f64;
        let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
        let (up, along) = points.iter().fold((0.0, 0.0), |(up, along), p| (up + (p.0 - x) * (p.1 - y), along + (p.0 - x).powi(2)));
        up / along
    }

    fn say(&self) {
        let figures =
            [("memory, KiB", memory as fn(&Uses) -> u64), ("descriptors", |uses| uses.descriptors), ("threads", |uses| uses.threads)];
        for (name, of) in figures {
            let [first, second, last] = [0, 1, 2].map(|third| self.mean(third, of));
            say(format_args!("soak: {name}: mean of each third: {first:.1}, {second:.1}, {last:.1}"));
        }
        say(format_args!("soak: memory's slope after the first third: {:.2} MiB an hour", self.slope()));
    }
}

async fn soak(rate: u64, span: Duration, every: Duration) -> Samples {
    let mock = upstream("chunks=12").await;
    let gateway = Gateway::start(&spec(&mock.base_url()));
    let before = gateway.warm().await;
    mock.script(script());
    let (crowd, ends, mut starts) = (Crowd::new(gateway.address), Arc::new(Ends::default()), pace(rate, span));
    let (mut running, mut samples, began, mut number) = (JoinSet::new(), Samples::default(), Instant::now(), 0);
    let check = |wrong: Option<String>| assert_eq!(wrong, None);
    while starts.recv().await.is_some() {
        running.spawn(ask(crowd.clone(), number, Arc::clone(&ends)));
        number += 1;
        while let Some(ended) = running.try_join_next() {
            check(ended.unwrap());
        }
        if began.elapsed() >= every * samples.0.len() as u32 {
            samples.0.push((began.elapsed(), gateway.uses()));
        }
    }
    running.join_all().await.into_iter().for_each(check);
    drop(crowd);
    gateway.until_idle().await;
    gateway.until_back_at(before, 256).await;
    say(format_args!("soak: {number} requests in {:.1?}: {ends:?}", began.elapsed()));
    samples.say();
    let [whole, told, left] = [&ends.whole, &ends.told, &ends.left].map(|count| count.load(Ordering::Relaxed));
    assert!(whole + told + left == number && whole > number / 2 && told > 0 && left > 0, "{ends:?} of {number}");
    gateway.end().await;
    samples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_kinds_of_clients_faults_and_departures_leave_nothing_behind() {
    let samples = soak(100, Duration::from_secs(2), Duration::from_millis(50)).await;
    assert_eq!(samples.mean(1, |uses| uses.threads), samples.mean(2, |uses| uses.threads));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half an hour; wants the machine to itself"]
async fn half_an_hour_of_clients_faults_and_departures_leaves_everything_level() {
    // The first third is long enough for the book's cache of pages to be full: 16 MiB, at about 120 bytes for each request.
    let span = Duration::from_secs(knob("LOAD_SOAK_SECONDS", 1_800));
    let samples = soak(knob("LOAD_SOAK_RATE", 300), span, span / 900).await;
    let grown = |of: fn(&Uses) -> u64| samples.mean(2, of) - samples.mean(1, of);
    assert_eq!(grown(|uses| uses.threads), 0.0);
    assert!(grown(|uses| uses.descriptors) <= 8.0, "{}", grown(|uses| uses.descriptors));
    let most = knob("LOAD_SOAK_MIB_AN_HOUR", 4.0);
    assert!(samples.slope() <= most, "{} MiB an hour", samples.slope());
}
