//! The operator's outbound proxies, from the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case.
//!
//! Rule: a proxy comes from the operator's environment and nothing else; the spec and requests cannot name one.

use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

use super::client::BuildError;
use crate::base::Secret;
use crate::spec::Environment;

/// Proxies by the scheme of the target. Their URLs may hold passwords, so they do not print.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Secret<String>>,
    https: Option<Secret<String>>,
    no_proxy: Option<String>,
}

impl Proxies {
    /// Reads the proxies from the environment. An empty variable counts as unset.
    pub fn from_env(env: &dyn Environment) -> Self {
        let get = |name: &str| {
            let value = env.get(&name.to_ascii_lowercase()).filter(|value| !value.is_empty());
            value.or_else(|| env.get(name).filter(|value| !value.is_empty()))
        };
        let all = get("ALL_PROXY");
        Self {
            http: get("HTTP_PROXY").or_else(|| all.clone()).map(Secret::new),
            https: get("HTTPS_PROXY").or(all).map(Secret::new),
            no_proxy: get("NO_PROXY"),
        }
    }

    /// Returns the proxy that targets of this scheme go through.
    fn of(&self, https: bool) -> Option<(&'static str, &Secret<String>)> {
        if https { self.https.as_ref().map(|url| ("HTTPS_PROXY", url)) } else { self.http.as_ref().map(|url| ("HTTP_PROXY", url)) }
    }

    /// Returns whether targets of this scheme go through a proxy, but for what passes it by.
    pub(super) fn serves(&self, https: bool) -> bool {
        self.of(https).is_some()
    }

    /// Returns whether TLS is spoken with the proxy itself.
    pub(super) fn is_tls(&self, https: bool) -> bool {
        self.of(https).is_some_and(|(_, url)| url.expose().starts_with("https:"))
    }

    /// Returns the proxy's host: the operator named it, so it may be private.
    pub(super) fn host(&self, https: bool) -> Option<String> {
        let (_, url) = self.of(https)?;
        let url = if url.expose().contains("://") { Url::parse(url.expose()) } else { Url::parse(&format!("http://{}", url.expose())) };
        Some(url.ok()?.host_str()?.to_owned())
    }

    /// Adds the proxy for targets of one scheme.
    pub(super) fn apply(&self, builder: ClientBuilder, https: bool) -> Result<ClientBuilder, BuildError> {
        let Some((variable, url)) = self.of(https) else { return Ok(builder) };
        let scheme = url.expose().split_once("://").map_or("http", |(scheme, _)| scheme);
        if !matches!(scheme, "http" | "https") {
            return Err(BuildError::Proxy(variable));
        }
        let proxy = if https { Proxy::https(url.expose().as_str()) } else { Proxy::http(url.expose().as_str()) };
        let proxy = proxy.map_err(|_| BuildError::Proxy(variable))?;
        Ok(builder.proxy(proxy.no_proxy(self.no_proxy.as_deref().and_then(NoProxy::from_string))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_lower_case_variable_wins_and_all_proxy_fills_in() {
        let proxies =
            Proxies::from_env(&env(&[("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:1"), ("ALL_PROXY", "all:3128")]));
        assert_eq!(proxies.host(true).as_deref(), Some("lower"));
        assert_eq!(proxies.host(false).as_deref(), Some("all"));
        assert_eq!(Proxies::from_env(&env(&[("HTTP_PROXY", "")])), Proxies::default());
    }

    #[test]
    fn a_proxy_that_is_not_http_is_refused_by_the_name_of_its_variable_and_its_password_is_not_shown() {
        let proxies = Proxies::from_env(&env(&[("HTTPS_PROXY", "socks5://user:canary@host:1")]));
        assert_eq!(proxies.apply(reqwest::Client::builder(), true).unwrap_err(), BuildError::Proxy("HTTPS_PROXY"));
        assert!(!format!("{proxies:?}").contains("canary"));
    }
}
