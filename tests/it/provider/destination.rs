//! The connector judges what a name resolves to, not the name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrostctl::error::{GatewayError, Kind};
use bifrostctl::provider::{ClientOptions, Clients, Destination, Looking, Lookup, Proxies};
use bifrostctl::spec::Environment;
use http_body_util::BodyExt;
use std::collections::BTreeMap;

use super::peer::{OK, Peer, WAITS, post, read_request, write};

/// Names with the answers to each lookup in turn; the last one stays.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    fn one(host: &str, answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        Arc::new(Self(Mutex::new(HashMap::from([(host.to_owned(), answers)]))))
    }
}

impl Lookup for Names {
    fn lookup(&self, host: &str) -> Looking {
        let mut names = self.0.lock().unwrap();
        let answers = names.get_mut(host);
        let found = answers.map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
        Box::pin(async move { found.ok_or_else(|| std::io::Error::other("no such name")) })
    }
}

async fn serve() -> Peer {
    Peer::serve(|mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, OK).await;
    })
    .await
}

/// Sends a request to `base_url`, whose preset is `preset`, with these names.
async fn dial(base_url: &str, preset: Option<&str>, names: Arc<Names>) -> Result<String, GatewayError> {
    let destination = Destination::parse(base_url, preset).unwrap();
    let clients = Clients::new(Proxies::default(), names);
    let client = clients.get(&ClientOptions::new(&destination, Duration::from_secs(5))).unwrap();
    let upstream = client.send(post(&destination, "{}"), WAITS).await?;
    Ok(String::from_utf8(upstream.body.collect().await?.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_name_that_the_spec_chose_may_be_private_and_a_presets_name_may_not() {
    let peer = serve().await;
    let url = format!("http://api.test:{}/v1", peer.address.port());
    let names = || Names::one("api.test", &[&["127.0.0.1"]]);
    assert_eq!(dial(&url, None, names()).await.unwrap(), "ok");
    assert_eq!(peer.accepted(), 1);

    let error = dial(&url, Some("https://api.test/v1"), names()).await.unwrap_err();
    assert_eq!(error.kind, Kind::UpstreamConnect);
    assert_eq!(error.public, "the gateway refuses to connect to this provider's address");
    assert_eq!(
        error.detail.as_deref(),
        Some("dial refused: `api.test` resolves to a private address, although the host is a public provider's")
    );
    assert_eq!(peer.accepted(), 1, "nothing was dialled");
}

#[tokio::test]
async fn a_name_that_leads_to_a_metadata_service_is_refused_whoever_chose_it() {
    for ip in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"] {
        let error = dial("http://innocent.test:9/v1", None, Names::one("innocent.test", &[&[ip]])).await.unwrap_err();
        assert_eq!(error.detail.as_deref(), Some("dial refused: `innocent.test` resolves to a cloud metadata service"), "{ip}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_at_every_dial() {
    let peer = serve().await;
    let destination = Destination::parse(&format!("http://rebind.test:{}/v1", peer.address.port()), None).unwrap();
    let names = Names::one("rebind.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let clients = Clients::new(Proxies::default(), names);
    let client = clients.get(&ClientOptions::new(&destination, Duration::from_secs(5))).unwrap();
    // The peer closes after one answer, so the second request has to dial.
    client.send(post(&destination, "{}"), WAITS).await.unwrap().body.collect().await.unwrap();
    let second = async {
        loop {
            // A connection that is just being closed may be met first; the refusal is what must come in the end.
            match client.send(post(&destination, "{}"), WAITS).await {
                Err(error) if error.detail.as_deref().is_some_and(|detail| detail.contains("dial refused")) => return,
                Err(_) => tokio::task::yield_now().await,
                Ok(_) => panic!("dialled a refused address"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), second).await.unwrap();
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn refused_addresses_of_a_name_are_passed_over_and_a_name_without_addresses_cannot_be_reached() {
    let peer = serve().await;
    let url = format!("http://mixed.test:{}/v1", peer.address.port());
    assert_eq!(dial(&url, None, Names::one("mixed.test", &[&["169.254.169.254", "127.0.0.1"]])).await.unwrap(), "ok");
    for names in [Names::one("mixed.test", &[&[]]), Names::one("other.test", &[&["127.0.0.1"]])] {
        let error = dial(&url, None, names).await.unwrap_err();
        assert_eq!((error.kind, error.public.as_str()), (Kind::UpstreamConnect, "the provider's name could not be resolved"));
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_may_be_private_and_local_hosts_pass_it_by() {
    let proxy = serve().await;
    let direct = serve().await;
    let env: BTreeMap<String, String> = BTreeMap::from([
        ("http_proxy".to_owned(), format!("http://user:canary@proxy.test:{}", proxy.address.port())),
        ("no_proxy".to_owned(), "skipped.test".to_owned()),
    ]);
    let env: &dyn Environment = &env;
    let names = Arc::new(Names(Mutex::new(HashMap::from([
        ("proxy.test".to_owned(), vec![vec!["127.0.0.1".parse().unwrap()]]),
        ("skipped.test".to_owned(), vec![vec!["127.0.0.1".parse().unwrap()]]),
    ]))));
    let clients = Clients::new(Proxies::from_env(env), names);
    let send = async |url: String, preset: Option<&str>| {
        let destination = Destination::parse(&url, preset).unwrap();
        let client = clients.get(&ClientOptions::new(&destination, Duration::from_secs(5))).unwrap();
        client.send(post(&destination, "{}"), WAITS).await
    };
    send("http://api.test/v1".to_owned(), Some("http://api.test/v1")).await.unwrap();
    assert_eq!((proxy.accepted(), direct.accepted()), (1, 0));
    send(format!("http://skipped.test:{}/v1", direct.address.port()), None).await.unwrap();
    send(format!("http://{}/v1", direct.address), None).await.unwrap();
    assert_eq!((proxy.accepted(), direct.accepted()), (1, 2));
    // A public provider's host that is passed by the proxy is judged like any other.
    let url = format!("http://skipped.test:{}/v1", direct.address.port());
    let error = send(url.clone(), Some(&url)).await.unwrap_err();
    assert!(error.detail.unwrap().starts_with("dial refused"));
}
