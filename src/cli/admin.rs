//! The client of the admin API: HTTP/1.1 with JSON, over a Unix socket or TCP.
//!
//! Rule: it maps statuses to exit codes and decides nothing else; what an answer means is its command's business.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::exit::{CommandError, Exit};
use crate::base::Secret;

/// Where the admin API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// `http://host:port` or `https://host:port`, without a trailing slash.
    Tcp(String),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(expected()) } else { Ok(Self::Unix(PathBuf::from(path))) };
        }
        let url = reqwest::Url::parse(text).map_err(|_| expected())?;
        let plain = matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" && url.query().is_none();
        if !plain {
            return Err(expected());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an endpoint holds no credentials; use --token-file".to_owned());
        }
        Ok(Self::Tcp(text.trim_end_matches('/').to_owned()))
    }
}

fn expected() -> String {
    "expected unix:PATH, http://HOST:PORT or https://HOST:PORT".to_owned()
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(url) => f.write_str(url),
        }
    }
}

/// One call to the admin API.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    if_match: Option<u64>,
    body: Option<Value>,
}

impl Call {
    /// Reads something.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), if_match: None, body: None }
    }

    /// Sends something.
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), if_match: None, body: Some(body) }
    }

    /// Demands that this revision is still the live one.
    pub(crate) const fn if_match(mut self, revision: u64) -> Self {
        self.if_match = Some(revision);
        self
    }
}

/// An answer: its status and its JSON.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body; null where it is not JSON.
    pub(crate) body: Value,
    /// The body where it is not JSON, such as metrics.
    pub(crate) text: String,
}

impl Answer {
    /// Returns the body's `error.code`, or an empty text.
    pub(crate) fn code(&self) -> &str {
        self.body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the body's `error.message`, or the status in words.
    pub(crate) fn message(&self) -> String {
        match self.body.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => format!("the gateway answered HTTP {}", self.status),
        }
    }

    /// Returns the body of a success, and the gateway's own words as an error otherwise.
    pub(crate) fn success(self) -> Result<Value, CommandError> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { Err(CommandError::failure(self.message())) }
    }
}

/// A client of one gateway's admin API.
#[derive(Debug)]
pub(crate) struct Admin {
    endpoint: Endpoint,
    client: reqwest::Client,
    token: Option<Secret<String>>,
    timeout: Duration,
}

impl Admin {
    /// Makes a client; connects to nothing yet. `timeout` is for each call, its answer included.
    pub(crate) fn new(endpoint: Endpoint, token: Option<Secret<String>>, timeout: Duration) -> Result<Self, CommandError> {
        let builder = client_builder(matches!(&endpoint, Endpoint::Tcp(url) if is_loopback(url)));
        let builder = match &endpoint {
            Endpoint::Unix(path) => builder.unix_socket(path.clone()),
            Endpoint::Tcp(_) => builder,
        };
        let client = builder.build().map_err(|error| CommandError::failure(format!("cannot make an HTTP client: {error}")))?;
        Ok(Self { endpoint, client, token, timeout })
    }

    /// Sends one call.
    ///
    /// # Errors
    /// A failure when nobody answers; [`Exit::NotAuthorised`] on 401 and 403; [`Exit::TimedOut`] when the time is up.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, CommandError> {
        let base = match &self.endpoint {
            Endpoint::Unix(_) => "http://localhost",
            Endpoint::Tcp(url) => url.as_str(),
        };
        let mut request = self.client.request(call.method, format!("{base}{}", call.path)).timeout(self.timeout);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(revision) = call.if_match {
            request = request.header(http::header::IF_MATCH, format!("\"{revision}\""));
        }
        if let Some(body) = call.body {
            request = request.header(http::header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let (body, text) = match serde_json::from_slice(&bytes) {
            Ok(body) => (body, String::new()),
            Err(_) => (Value::Null, String::from_utf8_lossy(&bytes).into_owned()),
        };
        let answer = Answer { status, body, text };
        match status {
            401 | 403 => Err(self.not_authorised(&answer)),
            _ => Ok(answer),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CommandError {
        if error.is_timeout() {
            return CommandError::new(Exit::TimedOut, format!("the gateway at {} did not answer in time", self.endpoint))
                .hint("give it longer with --timeout");
        }
        let wrong = CommandError::failure(format!("cannot reach the gateway at {}: {}", self.endpoint, root_cause(error)));
        match &self.endpoint {
            Endpoint::Unix(_) => wrong
                .hint("is it running? start it with `bifrostctl serve`")
                .hint("a relative socket path is looked up from the current directory; name another with --endpoint"),
            Endpoint::Tcp(_) => wrong.hint("is it running there? name another with --endpoint or BIFROST_ENDPOINT"),
        }
    }

    fn not_authorised(&self, answer: &Answer) -> CommandError {
        let wrong = CommandError::new(Exit::NotAuthorised, answer.message());
        match (&self.token, answer.status) {
            (None, _) => wrong.hint("name a file with the admin token: --token-file PATH or BIFROST_TOKEN_FILE"),
            (Some(_), 403) => wrong.hint("the token's scopes do not allow this; see gateway.admin.tokens in the spec"),
            (Some(_), _) => wrong.hint("the token in --token-file or BIFROST_TOKEN_FILE is not one that the spec lists"),
        }
    }
}

/// Starts an HTTP client that follows no redirects; what is on this machine is never asked through a proxy.
pub(crate) fn client_builder(local: bool) -> reqwest::ClientBuilder {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    if local { builder.no_proxy() } else { builder }
}

/// Returns whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// Returns the innermost error, which is what the system said.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_socket_or_a_bare_origin() {
        assert_eq!("unix:.bifrost/admin.sock".parse(), Ok(Endpoint::Unix(".bifrost/admin.sock".into())));
        assert_eq!("unix:///run/b.sock".parse(), Ok(Endpoint::Unix("/run/b.sock".into())));
        assert_eq!("http://127.0.0.1:8081/".parse(), Ok(Endpoint::Tcp("http://127.0.0.1:8081".to_owned())));
        for bad in ["", "unix:", "127.0.0.1:8081", "ftp://host", "http://host/path", "http://host/?q", "http://user:pw@host"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for local in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8080", "https://127.9.9.9"] {
            assert!(is_loopback(local), "{local}");
        }
        for remote in ["http://10.0.0.1", "http://localhost.example.com", "http://[2001:db8::1]", "nonsense"] {
            assert!(!is_loopback(remote), "{remote}");
        }
    }
}
