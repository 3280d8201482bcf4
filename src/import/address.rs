//! Addresses of servers: whether they may be a `base_url`, and what such a server is best called.

use url::Url;

use super::draft::literal;
use super::secret::Spelling;
use super::tree::Cursor;
use crate::base::{Destination, DestinationError};

/// An address as the spec may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The address, or an interpolation that gives one.
    pub(super) url: String,
    /// What a server there is best called.
    pub(super) name: String,
    /// Whether everything crosses a network in clear text.
    pub(super) is_plain: bool,
    /// Whether it is this machine.
    pub(super) is_local: bool,
    /// Whether it comes from the environment, so that nothing is known of it.
    pub(super) is_unknown: bool,
}

/// Reads an address.
///
/// # Errors
/// Why it may not be one, in words that show nothing of it.
pub(super) fn read(it: Cursor<'_>, spelling: Spelling) -> Result<Address, &'static str> {
    let Some(text) = it.text().map(str::trim) else { return Err("it is no plain text, or looks like a secret") };
    if let Some(name) = spelling.variable(text) {
        let called = name.to_ascii_lowercase().replace('_', "-");
        let called =
            called.trim_end_matches("-base").trim_end_matches("-url").trim_end_matches("-api").trim_end_matches("-endpoint").to_owned();
        return Ok(Address { url: format!("${{env:{name}}}"), name: called, is_plain: false, is_local: false, is_unknown: true });
    }
    parse(text)
}

/// Reads an address that stands there as it is.
///
/// # Errors
/// Why it may not be one, in words that show nothing of it.
pub(super) fn parse(text: &str) -> Result<Address, &'static str> {
    let text = text.trim_end_matches('/');
    let destination = Destination::parse(text, None).map_err(|error| match error {
        DestinationError::NotAUrl => "it is no URL",
        DestinationError::Scheme(_) => "it begins with neither `https://` nor `http://`",
        DestinationError::UserInfo => "it holds a user name or a password, which belong to `credentials`",
        DestinationError::Query | DestinationError::Path => "it goes on behind the API's version, with a query or the path of a call",
        DestinationError::Refused(_) => "the gateway calls no such address",
    })?;
    // Containers know the machine that they run on by this name.
    let is_local = destination.is_local() || Url::parse(text).is_ok_and(|url| url.host_str() == Some("host.docker.internal"));
    Ok(Address { url: literal(text), name: name(text), is_plain: !destination.is_https() && !is_local, is_local, is_unknown: false })
}

/// Names a server after its host: `https://api.example.com/v1` is `example`, `http://127.0.0.1:8000/v1` is `local-8000`.
fn name(text: &str) -> String {
    let Some(url) = Url::parse(text).ok() else { return "server".to_owned() };
    let host = url.host_str().unwrap_or("server").trim_matches(['[', ']']).to_ascii_lowercase();
    let port = url.port().map(|port| format!("-{port}")).unwrap_or_default();
    let is_here = host == "localhost" || host == "::1" || host.starts_with("127.") || host == "host.docker.internal";
    if is_here {
        return format!("local{port}");
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return format!("{}{port}", host.replace(':', "-"));
    }
    // What says nothing of whose it is stands before what does, which is never the last.
    let labels: Vec<&str> = host.split('.').collect();
    let known = labels.split_last().map(|(_, before)| before).unwrap_or_default();
    let telling = known.iter().find(|label| !matches!(**label, "api" | "www" | "llm" | "ai" | "inference" | "gateway" | "models"));
    telling.or(labels.first()).copied().unwrap_or("server").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_after_its_host() {
        for (url, expected) in [
            ("https://api.example.com/v1", "example"),
            ("http://127.0.0.1:8000/v1", "local-8000"),
            ("http://localhost/v1", "local"),
            ("http://10.0.0.5:8080", "10.0.0.5-8080"),
            ("http://vllm.models.svc.cluster.local:8000/v1", "vllm"),
            ("https://my-resource.openai.azure.com", "my-resource"),
            ("https://llm.partner.example/v1", "partner"),
            ("https://gateway.example/v1", "gateway"),
        ] {
            assert_eq!(name(url), expected, "{url}");
        }
    }

    #[test]
    fn what_may_hold_a_secret_is_no_address() {
        for url in [
            "https://user:pass@example.com/v1",
            "https://example.com/v1?key=abc",
            "example.com",
            "ftp://example.com",
            "http://169.254.169.254/",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
        assert_eq!(parse("https://example.com/v1/").unwrap().url, "https://example.com/v1");
        assert!(parse("http://example.com/v1").unwrap().is_plain && !parse("http://localhost:1/v1").unwrap().is_plain);
    }
}
