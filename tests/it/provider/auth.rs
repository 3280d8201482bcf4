//! Signing in: token services on loopback, and what the signed requests carry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bifrostctl::base::Secret;
use bifrostctl::error::Kind;
use bifrostctl::provider::{AuthError, AwsSource, Clients, CredentialHeader, Google, Outbound, Profile, Scope, SigV4, Signer};
use http::{HeaderMap, HeaderValue, Method};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::peer::{Peer, read_request, write};

const PEM: &str = include_str!("../../fixtures/keys/rfc7515-a2.pem");
const HOUR: u64 = 3_600_000;
/// The first second of 2025.
const NOW: u64 = 1_735_689_600_000;

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A service that gives each caller the next answer, the last one for ever, and tells what it was asked.
async fn service(answers: Vec<String>) -> (Peer, mpsc::Receiver<String>) {
    let (asked, asks) = mpsc::channel(20);
    let answers = Arc::new(answers);
    let calls = Arc::new(AtomicUsize::new(0));
    let peer = Peer::serve(move |mut stream| {
        let (asked, answers, calls) = (asked.clone(), Arc::clone(&answers), Arc::clone(&calls));
        async move {
            while let Some(request) = read_request(&mut stream).await {
                asked.send(request).await.unwrap();
                let number = calls.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                write(&mut stream, &answers[number]).await;
            }
        }
    })
    .await;
    (peer, asks)
}

fn form(request: &str) -> BTreeMap<String, String> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn outbound() -> Outbound {
    let path = http::uri::PathAndQuery::from_static("/model/a%3A0/converse");
    Outbound { method: Method::POST, path, headers: HeaderMap::new(), body: bytes::Bytes::from_static(b"{}").into() }
}

/// Signs a request and returns a header of it.
async fn signed(signer: &Signer, now_ms: u64, name: &str) -> Result<String, Kind> {
    let mut outbound = outbound();
    let host = HeaderValue::from_static("h");
    signer.sign(&mut outbound, &host, now_ms).await.map_err(|error| error.kind)?;
    let value = outbound.headers.get(name).unwrap();
    assert!(value.is_sensitive());
    Ok(value.to_str().unwrap().to_owned())
}

fn google(file: &Value) -> Signer {
    Signer::Google(Box::new(Google::new(&Secret::new(file.to_string()), &Clients::default()).unwrap()))
}

fn service_account(peer: &Peer) -> Value {
    json!({"type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": PEM, "client_email": "a@b.example",
        "token_uri": format!("http://{}/token", peer.address)})
}

fn token(name: &str) -> String {
    http("200 OK", &json!({"access_token": name, "expires_in": 3_600, "token_type": "Bearer"}).to_string())
}

/// The public half of the key, cut out of its PKCS#8 form by what RFC 7515 prints.
fn public_key() -> RsaPublicKeyComponents<Vec<u8>> {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW\
        vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5\
        IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    RsaPublicKeyComponents { n: URL_SAFE_NO_PAD.decode(n).unwrap(), e: vec![1, 0, 1] }
}

#[tokio::test]
async fn a_service_account_gets_a_token_for_its_signed_statement_and_keeps_it() {
    let (peer, mut asks) = service(vec![token("t1"), token("t2")]).await;
    let file = service_account(&peer);
    let signer = google(&file);
    assert_eq!(signed(&signer, NOW, "authorization").await, Ok("Bearer t1".to_owned()));
    assert_eq!(signed(&signer, NOW + HOUR - 300_001, "authorization").await, Ok("Bearer t1".to_owned()));
    assert_eq!(signed(&signer, NOW + HOUR - 300_000, "authorization").await, Ok("Bearer t2".to_owned()));

    let request = asks.recv().await.unwrap();
    assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
    let form = form(&request);
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (text, signature) = form["assertion"].rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public_key().verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1).unwrap()).unwrap();
    let seconds = NOW / 1_000;
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    let expected = json!({"iss": "a@b.example", "scope": scope, "aud": file["token_uri"], "iat": seconds, "exp": seconds + 3_600});
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_users_key_file_gets_a_token_for_its_refresh_token() {
    let (peer, mut asks) = service(vec![token("t1")]).await;
    let file = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "quota_project_id": "q",
        "token_uri": format!("http://{}/token", peer.address)});
    let account = Google::new(&Secret::new(file.to_string()), &Clients::default()).unwrap();
    assert_eq!(account.project(), Some("q"));
    assert_eq!(signed(&Signer::Google(Box::new(account)), NOW, "authorization").await, Ok("Bearer t1".to_owned()));
    let form = form(&asks.recv().await.unwrap());
    let told: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(told, [("client_id", "c"), ("client_secret", "s"), ("grant_type", "refresh_token"), ("refresh_token", "r")]);
}

#[tokio::test]
async fn a_token_that_the_provider_refused_is_fetched_anew_once() {
    let (peer, _asks) = service(vec![token("t1"), token("t2")]).await;
    let signer = google(&service_account(&peer));
    assert_eq!(signed(&signer, NOW, "authorization").await, Ok("Bearer t1".to_owned()));
    assert!(signer.forget(NOW + 60_000));
    assert_eq!(signed(&signer, NOW + 60_000, "authorization").await, Ok("Bearer t2".to_owned()));
    assert!(!signer.forget(NOW + 61_000));
}

#[tokio::test]
async fn a_refusal_and_a_broken_service_are_told_apart() {
    let refusal = http("400 Bad Request", r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#);
    for (answer, kind) in [
        (refusal, Kind::UpstreamAuth),
        (http("503 Service Unavailable", "<html>"), Kind::UpstreamOverload),
        (http("500 Internal Server Error", ""), Kind::UpstreamServerError),
        (http("200 OK", "<html>"), Kind::UpstreamMalformed),
        (http("200 OK", &" ".repeat(300 << 10)), Kind::UpstreamMalformed),
        (String::new(), Kind::UpstreamConnect),
    ] {
        let (peer, _asks) = service_that_closes(answer.clone()).await;
        let signer = google(&service_account(&peer));
        assert_eq!(signed(&signer, NOW, "authorization").await, Err(kind), "{}", answer.lines().next().unwrap_or_default());
    }
}

/// A service that gives one answer and closes the connection.
async fn service_that_closes(answer: String) -> (Peer, mpsc::Receiver<String>) {
    let (asked, asks) = mpsc::channel(20);
    let peer = Peer::serve(move |mut stream| {
        let (asked, answer) = (asked.clone(), answer.clone());
        async move {
            if let Some(request) = read_request(&mut stream).await {
                asked.send(request).await.unwrap();
                write(&mut stream, &answer).await;
            }
        }
    })
    .await;
    (peer, asks)
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn aws(env: &BTreeMap<String, String>) -> Result<AwsSource, AuthError> {
    AwsSource::from_environment(env, "eu-central-1", &Clients::default())
}

fn sigv4(source: AwsSource) -> Signer {
    let scope = Scope { region: "eu-central-1".to_owned(), service: "bedrock".to_owned() };
    Signer::SigV4(Box::new(SigV4::new(scope, source)))
}

fn assumed(id: &str, end: &str) -> String {
    http(
        "200 OK",
        &format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\n\
             <Audience>sts.amazonaws.com</Audience><Credentials>\n<AccessKeyId>{id}</AccessKeyId>\n<SecretAccessKey>S</SecretAccessKey>\
             <SessionToken>TOKEN-{id}</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_keys_and_again_with_the_files_newest_token() {
    let (peer, mut asks) = service(vec![assumed("ID1", "2025-01-01T01:00:00Z"), assumed("ID2", "2025-01-01T02:00:00Z")]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let url = format!("http://{}/", peer.address);
    let role = "arn:aws:iam::1:role/r";
    let env = env(&[("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()), ("AWS_ROLE_ARN", role), ("AWS_ENDPOINT_URL_STS", &url)]);
    let source = aws(&env).unwrap();
    assert_eq!(source.check(), Ok(()));
    let signer = sigv4(source);
    let authorization = signed(&signer, NOW, "authorization").await.unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=ID1/20250101/eu-central-1/bedrock/aws4_request"), "{authorization}");
    assert_eq!(signed(&signer, NOW, "x-amz-security-token").await.unwrap(), "TOKEN-ID1");
    std::fs::write(&file, "second").unwrap();
    assert_eq!(signed(&signer, NOW + HOUR - 300_000, "x-amz-security-token").await.unwrap(), "TOKEN-ID2");
    let first = form(&asks.recv().await.unwrap());
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", role),
        ("RoleSessionName", "bifrostctl"),
        ("Version", "2011-06-15"),
        ("WebIdentityToken", "first"),
    ];
    assert_eq!(first, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(form(&asks.recv().await.unwrap())["WebIdentityToken"], "second");
}

#[tokio::test]
async fn a_containers_service_gives_keys_for_the_token_in_its_file() {
    let body = json!({"AccessKeyId": "ID", "SecretAccessKey": "S", "Token": "T", "Expiration": "2025-01-01T01:00:00Z"}).to_string();
    let (peer, mut asks) = service(vec![http("200 OK", &body)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "pod-token").unwrap();
    let url = format!("http://{}/v1/credentials", peer.address);
    let source = aws(&env(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/a"),
    ]))
    .unwrap();
    assert_eq!(signed(&sigv4(source), NOW, "x-amz-security-token").await.unwrap(), "T");
    let request = asks.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("get /v1/credentials http/1.1\r\n") && request.contains("\r\nauthorization: pod-token\r\n"), "{request}");
}

#[test]
fn services_at_metadata_addresses_are_not_asked_for_keys() {
    let nowhere = ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/a");
    for url in ["http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials", "http://10.0.0.1/credentials"] {
        let error = aws(&env(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), nowhere])).unwrap_err();
        assert!(matches!(error, AuthError::Endpoint(_)), "{url}: {error}");
    }
    let error = aws(&env(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"), nowhere])).unwrap_err();
    assert!(error.to_string().contains("link-local address"), "{error}");
    assert!(matches!(aws(&env(&[nowhere])).unwrap_err(), AuthError::NoAwsKeys(_)));
}

#[tokio::test]
async fn the_environment_is_searched_in_the_order_of_the_sdks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let profile = |name: &str, id: &str| format!("[{name}]\naws_access_key_id={id}\naws_secret_access_key=S\n");
    std::fs::write(&file, profile("default", "FROM-DEFAULT") + &profile("named", "FROM-NAMED")).unwrap();
    let files = ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap());
    let keys = [("AWS_ACCESS_KEY_ID", "FROM-KEYS"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_SESSION_TOKEN", "")];
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token"), ("AWS_ROLE_ARN", "arn")];
    let named = ("AWS_PROFILE", "named");
    for (pairs, id) in [
        ([&keys[..], &web, &[named, files]].concat(), "FROM-KEYS"),
        ([&web[..], &[named, files]].concat(), "FROM-NAMED"),
        (vec![files], "FROM-DEFAULT"),
    ] {
        let signer = sigv4(aws(&env(&pairs)).unwrap());
        let authorization = signed(&signer, NOW, "authorization").await.unwrap();
        assert!(authorization.contains(&format!("Credential={id}/")), "{authorization}");
    }
    let identity = aws(&env(&[&web[..], &[files]].concat())).unwrap();
    assert!(matches!(identity, AwsSource::WebIdentity(_)));
    assert!(matches!(identity.check(), Err(AuthError::File(..))));
    assert_eq!(signed(&sigv4(identity), NOW, "authorization").await, Err(Kind::UpstreamAuth));
}

#[tokio::test]
async fn a_profiles_keys_are_read_again_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let write = |id: &str| std::fs::write(&file, format!("[p]\naws_access_key_id={id}\naws_secret_access_key=S\n")).unwrap();
    write("ID1");
    let signer = sigv4(AwsSource::Profile(Profile::in_file("p".to_owned(), file.clone())));
    let id = |authorization: String| authorization.split_once("Credential=").unwrap().1.split_once('/').unwrap().0.to_owned();
    assert_eq!(id(signed(&signer, NOW, "authorization").await.unwrap()), "ID1");
    write("ID2");
    assert_eq!(id(signed(&signer, NOW + 1_000, "authorization").await.unwrap()), "ID1");
    assert_eq!(id(signed(&signer, NOW + 300_000, "authorization").await.unwrap()), "ID2");
}

#[tokio::test]
async fn a_header_is_set_as_it_is_and_none_is_none() {
    let secret = Secret::new("key".to_owned());
    let header = CredentialHeader::build(&bifrostctl::plan::AuthScheme::Bearer, Some(&secret)).unwrap();
    assert_eq!(signed(&Signer::Header(header), NOW, "authorization").await, Ok("Bearer key".to_owned()));
    let mut outbound = outbound();
    Signer::Header(CredentialHeader::default()).sign(&mut outbound, &HeaderValue::from_static("h"), NOW).await.unwrap();
    assert!(outbound.headers.is_empty());
}
