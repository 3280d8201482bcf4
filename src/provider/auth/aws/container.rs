//! A service on the container's host that gives temporary keys, at the address of `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
//!
//! Source: "Container credential provider" of the SDKs' reference guide. ECS and EKS Pod Identity use link-local addresses, which are
//! never dialled; what is left is a service at `https://` or on this machine, as Greengrass and sidecars have one.

use std::path::PathBuf;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;

use super::AwsKeys;
use super::source::unusable;
use crate::base::Secret;
use crate::error::GatewayError;
use crate::provider::auth::AuthError;
use crate::provider::auth::endpoint::{Endpoint, malformed};
use crate::provider::auth::refreshing::Fresh;
use crate::provider::client::Clients;
use crate::spec::Environment;

/// Keys without an end are asked for again after this long.
const BELIEVED_MS: u64 = 900_000;

/// Gets keys from a service of the container's host.
#[derive(Debug)]
pub struct Container {
    endpoint: Endpoint,
    token: Option<Token>,
}

/// What the service wants to see.
#[derive(Debug, Clone)]
enum Token {
    Value(Secret<String>),
    File(PathBuf),
}

impl Container {
    /// Reads the variables of the environment; `None` where they name no service.
    ///
    /// # Errors
    /// [`AuthError::Endpoint`] for a service that may not be called.
    pub fn from_environment(env: &dyn Environment, clients: &Clients) -> Result<Option<Self>, AuthError> {
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let Some(url) = set("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return Ok(None) };
        let file = set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Token::File(path.into()));
        let token = file.or_else(|| set("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|value| Token::Value(Secret::new(value))));
        Ok(Some(Self { endpoint: Endpoint::new(&url, clients)?, token }))
    }

    /// Looks whether the token's file is there.
    ///
    /// # Errors
    /// [`AuthError::File`].
    pub fn check(&self) -> Result<(), AuthError> {
        match &self.token {
            Some(Token::File(path)) => {
                std::fs::read(path).map(drop).map_err(|error| AuthError::File(path.display().to_string(), error.kind()))
            }
            Some(Token::Value(_)) | None => Ok(()),
        }
    }

    pub(super) async fn fetch(&self, now_ms: u64) -> Result<Fresh<AwsKeys>, GatewayError> {
        let mut headers = HeaderMap::new();
        let token = match &self.token {
            None => None,
            Some(Token::Value(value)) => Some(value.clone()),
            Some(Token::File(path)) => {
                let read = tokio::fs::read_to_string(path).await;
                let text = read.map_err(|error| unusable(&AuthError::File(path.display().to_string(), error.kind())))?;
                Some(Secret::new(text.trim().to_owned()))
            }
        };
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| unusable(&AuthError::Value))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        keys(&self.endpoint.get(headers).await?, now_ms)
    }
}

fn keys(body: &[u8], now_ms: u64) -> Result<Fresh<AwsKeys>, GatewayError> {
    let json: Value = serde_json::from_slice(body).map_err(|_| malformed("the container's service did not answer in JSON"))?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let secret = |name: &str| text(name).map(|text| Secret::new(text.to_owned()));
    let (Some(id), Some(key)) = (secret("AccessKeyId"), secret("SecretAccessKey")) else {
        return Err(malformed("the container's service gave no keys"));
    };
    let value =
        AwsKeys::new(id, key, secret("Token")).map_err(|_| malformed("the container's service gave keys that no header can carry"))?;
    let end_ms = match text("Expiration") {
        None => now_ms.saturating_add(BELIEVED_MS),
        Some(end) => {
            let end = end.parse::<Timestamp>().ok().and_then(|end| u64::try_from(end.as_millisecond()).ok());
            end.ok_or_else(|| malformed("the container's service did not say when its keys end"))?
        }
    };
    Ok(Fresh { value, end_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_when_the_service_says_or_after_a_while() {
        let whole = br#"{"AccessKeyId":"I","SecretAccessKey":"S","Token":"T","Expiration":"2025-01-01T00:00:00Z"}"#;
        let fresh = keys(whole, 7).unwrap();
        assert_eq!((fresh.value.id(), fresh.value.token(), fresh.end_ms), ("I", Some("T"), 1_735_689_600_000));
        assert_eq!(keys(br#"{"AccessKeyId":"I","SecretAccessKey":"S"}"#, 7).unwrap().end_ms, 900_007);
        for bad in [&b"<html>"[..], b"{}", br#"{"AccessKeyId":"I","SecretAccessKey":"S","Expiration":"soon"}"#] {
            assert!(keys(bad, 7).is_err());
        }
    }
}
