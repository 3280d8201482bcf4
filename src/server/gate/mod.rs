//! The strict gate: judges raw HTTP/1.1 bytes on their way to hyper, because hyper folds away what must be refused
//! (`Content-Length` next to `Transfer-Encoding`, equal duplicates, bare line feeds).
//!
//! hyper sees the end of a head only after the whole head passed, so a refused request cannot reach the handler. The gate follows each
//! body to its end, and hands hyper the bytes of one message at a time: while an answer is running, the next request waits here and
//! the end of the connection is still seen.

mod chunk;
mod head;
mod reason;
mod stream;
mod target;

pub use head::Framing;
pub use reason::Reason;
pub(super) use reason::Refused;
pub(super) use stream::{Exchange, Gate};

use super::Config;

/// Judges the head at the start of `bytes`: its length and the framing of its body, or none while it is not complete.
///
/// # Errors
/// The reason for which a server with this configuration refuses the request.
pub fn check(bytes: &[u8], config: &Config) -> Result<Option<(usize, Framing)>, Reason> {
    head::Head::default().feed(bytes, config)
}

/// Judges an HTTP/2 request, whose framing the protocol itself settles: target, authority, expectation.
pub(super) fn check_http2(request: &http::request::Parts) -> Result<(), Reason> {
    if matches!(request.method, http::Method::CONNECT | http::Method::TRACE) {
        return Err(Reason::Method);
    }
    match request.uri.path_and_query() {
        Some(path) if path.as_str() == "*" && request.method == http::Method::OPTIONS => {}
        Some(path) => target::check_path_and_query(path.as_str().as_bytes())?,
        None => return Err(Reason::Target),
    }
    let mut hosts = request.headers.get_all(http::header::HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Reason::HostDuplicate);
    }
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    match (authority, host) {
        (None, None) => return Err(Reason::HostMissing),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => return Err(Reason::AuthorityMismatch),
        (Some(name), _) | (None, Some(name)) => target::check_host(name)?,
    }
    match request.headers.get(http::header::EXPECT) {
        Some(expect) if !expect.as_bytes().eq_ignore_ascii_case(b"100-continue") => Err(Reason::Expect),
        _ => Ok(()),
    }
}
