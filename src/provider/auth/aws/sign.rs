//! AWS Signature Version 4, over a request whose body is whole.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide, and the vectors of its test suite. Rule: what is signed is what is
//! sent. The path is encoded once more than it is sent, as every service but S3 wants it, and nothing that a proxy may change is signed.

use std::fmt::Write as _;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::{digest, hmac};

use super::keys::AwsKeys;
use crate::error::{GatewayError, Kind};
use crate::provider::client::Outbound;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const BODY_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `us-east-1`.
    pub region: String,
    /// `bedrock`.
    pub service: String,
}

/// Signs the request: sets its date, the hash of its body, its token and its authorization.
///
/// # Errors
/// [`Kind::Internal`] for a time or a scope that a header cannot carry.
pub(super) fn sign(keys: &AwsKeys, scope: &Scope, outbound: &mut Outbound, host: &HeaderValue, now_ms: u64) -> Result<(), GatewayError> {
    let date = date(now_ms).ok_or_else(|| unusable("the time cannot be written"))?;
    let mut body = digest::Context::new(&digest::SHA256);
    outbound.body.parts().for_each(|piece| body.update(piece));
    let body_hash = hex::encode(body.finish());
    let headers = &mut outbound.headers;
    headers.insert(DATE, header(&date, false)?);
    headers.insert(BODY_HASH, header(&body_hash, false)?);
    match keys.token() {
        Some(token) => headers.insert(TOKEN, header(token, true)?),
        None => headers.remove(TOKEN),
    };
    let signed = Signed::choose(headers, host);
    let (path, query) = (outbound.path.path(), outbound.path.query().unwrap_or_default());
    let canonical = canonical_request(outbound.method.as_str(), (path, query), &signed, &body_hash);
    let authorization = authorization(keys, scope, &date, &signed.names(), &canonical);
    outbound.headers.insert(AUTHORIZATION, header(&authorization, true)?);
    Ok(())
}

fn header(text: &str, is_sensitive: bool) -> Result<HeaderValue, GatewayError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| unusable("a header cannot carry the signature"))?;
    value.set_sensitive(is_sensitive);
    Ok(value)
}

fn unusable(detail: &'static str) -> GatewayError {
    GatewayError::new(Kind::Internal, "the request could not be signed").detail(detail)
}

/// Writes a time as `20150830T123600Z`.
fn date(now_ms: u64) -> Option<String> {
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    Some(now.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// The headers that are signed: lower-case names in order, with tidy values.
struct Signed(Vec<(String, Vec<u8>)>);

impl Signed {
    /// Chooses the host, the content type, and every header of AWS's own.
    fn choose(headers: &HeaderMap, host: &HeaderValue) -> Self {
        let is_ours = |name: &HeaderName| *name == CONTENT_TYPE || name.as_str().starts_with("x-amz");
        let values = |name: &HeaderName| {
            let values: Vec<Vec<u8>> = headers.get_all(name).iter().map(|value| tidy(value.as_bytes())).collect();
            values.join(&b","[..])
        };
        let mut signed: Vec<(String, Vec<u8>)> =
            headers.keys().filter(|name| is_ours(name)).map(|name| (name.as_str().to_owned(), values(name))).collect();
        signed.push((HOST.as_str().to_owned(), tidy(host.as_bytes())));
        signed.sort();
        Self(signed)
    }

    fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
    }
}

/// Takes the blanks at both ends away, and all but one of those that stand together.
fn tidy(value: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = value.split(|byte| *byte == b' ' || *byte == b'\t').filter(|word| !word.is_empty()).collect();
    words.join(&b' ')
}

fn canonical_request(method: &str, (path, query): (&str, &str), signed: &Signed, body_hash: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut line = |text: &[u8]| {
        out.extend_from_slice(text);
        out.push(b'\n');
    };
    line(method.as_bytes());
    line(encoded(path.as_bytes(), true).as_bytes());
    line(canonical_query(query).as_bytes());
    for (name, value) in &signed.0 {
        line(&[name.as_bytes(), b":", value].concat());
    }
    line(b"");
    line(signed.names().as_bytes());
    out.extend_from_slice(body_hash.as_bytes());
    out
}

/// Sorts the members of a query by name and then by value, each encoded in the one way that counts.
fn canonical_query(query: &str) -> String {
    let mut members: Vec<String> = query
        .split('&')
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            format!("{}={}", encoded(&decoded(name), false), encoded(&decoded(value), false))
        })
        .collect();
    members.sort();
    members.join("&")
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encoded(bytes: &[u8], keeps_slashes: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(*byte)),
            b'/' if keeps_slashes => out.push('/'),
            // Writing to a String cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| hex::decode(hex).ok());
        match hex.as_deref() {
            Some([byte]) => {
                out.push(*byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

fn authorization(keys: &AwsKeys, scope: &Scope, date: &str, names: &str, canonical: &[u8]) -> String {
    let day = date.get(..8).unwrap_or_default();
    let scope_line = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hash = hex::encode(digest::digest(&digest::SHA256, canonical));
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope_line}\n{hash}");
    let key = signing_key(keys, scope, day);
    let signature = hex::encode(hmac::sign(&key, to_sign.as_bytes()));
    format!("{ALGORITHM} Credential={}/{scope_line}, SignedHeaders={names}, Signature={signature}", keys.id())
}

fn signing_key(keys: &AwsKeys, scope: &Scope, day: &str) -> hmac::Key {
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", keys.secret()).as_bytes());
    [day, &scope.region, &scope.service, "aws4_request"]
        .into_iter()
        .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::base::Secret;

    fn keys(token: Option<&str>) -> AwsKeys {
        let secret = |text: &str| Secret::new(text.to_owned());
        AwsKeys::new(secret("AKIDEXAMPLE"), secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), token.map(secret)).unwrap()
    }

    fn scope(service: &str) -> Scope {
        Scope { region: "us-east-1".to_owned(), service: service.to_owned() }
    }

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Signs what AWS's own test suite signs: no hash of the body among the headers.
    fn suite(method: &str, path: (&str, &str), more: &[(&'static str, &'static str)]) -> String {
        let mut headers: HeaderMap =
            more.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        headers.insert(DATE, HeaderValue::from_static("20150830T123600Z"));
        let mut signed = Signed::choose(&headers, &HeaderValue::from_static("example.amazonaws.com"));
        for (name, value) in more.iter().filter(|(name, _)| name.starts_with("my-")) {
            signed.0.push(((*name).to_owned(), tidy(value.as_bytes())));
        }
        signed.0.sort();
        let canonical = canonical_request(method, path, &signed, EMPTY);
        let line = authorization(&keys(None), &scope("service"), "20150830T123600Z", &signed.names(), &canonical);
        line.rsplit_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn the_vectors_of_the_test_suite_agree() {
        for (name, method, path, headers, signature) in [
            ("get-vanilla", "GET", ("/", ""), &[][..], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("post-vanilla", "POST", ("/", ""), &[], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "get-vanilla-query-order-key",
                "GET",
                ("/", "Param2=value2&Param1=value1"),
                &[],
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            ("post-vanilla-query", "POST", ("/", "Param1=value1"), &[], "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
            (
                "get-header-value-trim",
                "GET",
                ("/", ""),
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "get-unreserved",
                "GET",
                ("/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", ""),
                &[],
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
        ] {
            assert_eq!(suite(method, path, headers), signature, "{name}");
        }
    }

    /// A request to Bedrock at the first second of 2025, and what became of it.
    fn bedrock(path: &'static str, token: Option<&str>) -> Outbound {
        let body = br#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
        let (head, rest) = body.split_at(9);
        let mut outbound = Outbound {
            method: Method::POST,
            path: http::uri::PathAndQuery::from_static(path),
            headers: HeaderMap::new(),
            body: crate::provider::Pieces::new([Bytes::from_static(head), Bytes::new(), Bytes::from_static(rest)]),
        };
        outbound.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        outbound.headers.insert("accept", HeaderValue::from_static("*/*"));
        outbound.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer template"));
        let host = HeaderValue::from_static("bedrock-runtime.us-east-1.amazonaws.com");
        sign(&keys(token), &scope("bedrock"), &mut outbound, &host, 1_735_689_600_000).unwrap();
        outbound
    }

    #[test]
    fn requests_to_bedrock_are_signed_as_botocore_does() {
        let long = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123def456/converse-stream";
        for (path, token, signature) in [
            (
                "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
                None,
                "beeb6fac635d7e71cf27e722fbe0bcb65cda1c748ee245f187c6c67a33839a9f",
            ),
            (
                "/model/anthropic.claude-3-haiku-20240307-v1:0/converse",
                None,
                "081893432c725c9f7db8ad7c6d1c66b73ee6c0529b3bfee853a8949a3d3ceb84",
            ),
            (long, Some("TESTTOKEN"), "405c12b6e20d58fe004fc1b33bfd077feb1195cdb9cfe4bba8109a805c9f23fb"),
        ] {
            let outbound = bedrock(path, token);
            let names = if token.is_some() { ";x-amz-security-token" } else { "" };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250101/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date{names}, Signature={signature}"
            );
            let authorization = outbound.headers.get(AUTHORIZATION).unwrap();
            assert_eq!(authorization, &expected, "{path}");
            assert!(authorization.is_sensitive());
            assert_eq!(
                outbound.headers.get(BODY_HASH).unwrap(),
                "c3335e07d6e89650bf94cb98664be69f8774dbc3198df221f113db0a59ea14f0",
                "the hash is of all pieces"
            );
            assert_eq!(outbound.headers.get(TOKEN).map(HeaderValue::as_bytes), token.map(str::as_bytes));
        }
    }

    #[test]
    fn the_signing_key_is_the_published_one() {
        let key = signing_key(&keys(None), &scope("bedrock"), "20250101");
        let expected = hex::decode("c27e311b7b87de48214ea763bf3f6bd9824a54ab54fdf0033dac588a75009fc1").unwrap();
        assert_eq!(hmac::sign(&key, b"any").as_ref(), hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &expected), b"any").as_ref());
    }

    #[test]
    fn a_query_is_sorted_and_encoded_in_one_way() {
        for (query, canonical) in [
            ("", ""),
            ("b=2&a=1&a=0", "a=0&a=1&b=2"),
            ("flag", "flag="),
            ("a=%7e%2f%20x", "a=~%2F%20x"),
            ("a=1%", "a=1%25"),
            ("a=ሴ", "a=%E1%88%B4"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }
}
