//! AWS Signature Version 4, made again from what was sent: the other half of the bargain.

use std::fmt::Write as _;

use bifrostctl::base::Digest;
use ring::hmac;

use super::header;

/// Says what of a signed request's signature is wrong; `secret` is the key that belongs to the id in it.
pub(super) fn fault(request: &str, secret: &str) -> Option<String> {
    let authorization = header(request, "authorization")?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap();
    let (credential, rest) = rest.split_once(", SignedHeaders=").unwrap();
    let (names, signature) = rest.split_once(", Signature=").unwrap();
    let scope: Vec<&str> = credential.split('/').skip(1).collect();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut line = head.lines().next().unwrap().split(' ');
    let (method, path) = (line.next().unwrap(), line.next().unwrap());
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    assert_eq!(query, "", "no request of ours has a query");
    // A service decodes what it got once, so the signer encodes what it sends once more.
    let mut canonical = format!("{method}\n{}\n\n", path.replace('%', "%25"));
    for name in names.split(';') {
        let _ = writeln!(canonical, "{name}:{}", header(request, name).unwrap().trim());
    }
    let hash = |text: &str| Digest::of(text.as_bytes()).to_string();
    let _ = write!(canonical, "\n{names}\n{}", hash(body));
    assert_eq!(header(request, "x-amz-content-sha256").unwrap(), hash(body));
    let date = header(request, "x-amz-date").unwrap();
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", scope.join("/"), hash(&canonical));
    let key = scope.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    let expected = hex::encode(mac(&key, &to_sign));
    (signature != expected).then(|| format!("{signature} is not {expected} of\n{canonical}"))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
