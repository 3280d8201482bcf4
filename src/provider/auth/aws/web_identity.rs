//! A token of an OpenID Connect issuer, exchanged for temporary keys by AWS's token service: roles of EKS service accounts, of GitHub's
//! runners, of any workload with an identity.
//!
//! Source: the reference of `AssumeRoleWithWebIdentity`, API version 2011-06-15. The call is not signed; the token is the proof.

use std::path::PathBuf;

use jiff::Timestamp;

use super::AwsKeys;
use super::source::unusable;
use crate::base::Secret;
use crate::error::GatewayError;
use crate::provider::auth::AuthError;
use crate::provider::auth::endpoint::{Endpoint, element, malformed};
use crate::provider::auth::refreshing::Fresh;
use crate::provider::client::Clients;

/// Who is signed in, as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentityOptions {
    /// The role.
    pub role_arn: String,
    /// The file with the token, which its issuer writes anew.
    pub token_file: PathBuf,
    /// What the session is called in AWS's logs; `bifrostctl` where it is not said.
    pub session_name: Option<String>,
    /// The token service, where it is not the region's own.
    pub sts_url: Option<String>,
}

/// Gets keys for a web identity.
#[derive(Debug)]
pub struct WebIdentity {
    options: WebIdentityOptions,
    endpoint: Endpoint,
}

impl WebIdentity {
    /// Prepares the exchange.
    ///
    /// # Errors
    /// [`AuthError::Endpoint`] for a token service that may not be called.
    pub fn new(options: WebIdentityOptions, region: &str, clients: &Clients) -> Result<Self, AuthError> {
        let own = || {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://sts.{region}.amazonaws.com{suffix}/")
        };
        let endpoint = Endpoint::new(&options.sts_url.clone().unwrap_or_else(own), clients)?;
        Ok(Self { options, endpoint })
    }

    /// Looks whether there is a token.
    ///
    /// # Errors
    /// [`AuthError::File`].
    pub fn check(&self) -> Result<(), AuthError> {
        let file = &self.options.token_file;
        std::fs::read(file).map(drop).map_err(|error| AuthError::File(file.display().to_string(), error.kind()))
    }

    pub(super) async fn fetch(&self) -> Result<Fresh<AwsKeys>, GatewayError> {
        let WebIdentityOptions { role_arn, token_file, session_name, sts_url: _ } = &self.options;
        let read = tokio::fs::read_to_string(token_file).await;
        let token = read.map_err(|error| unusable(&AuthError::File(token_file.display().to_string(), error.kind())))?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role_arn),
            ("RoleSessionName", session_name.as_deref().unwrap_or("bifrostctl")),
            ("WebIdentityToken", token.trim()),
        ];
        let answer = self.endpoint.post_form(&form, "application/xml").await?;
        keys(&String::from_utf8_lossy(&answer))
    }
}

fn keys(xml: &str) -> Result<Fresh<AwsKeys>, GatewayError> {
    let credentials = xml.split_once("<Credentials>").map(|(_, rest)| rest).unwrap_or_default();
    let text = |name: &str| element(credentials, name).map(|text| Secret::new(text.to_owned()));
    let (Some(id), Some(secret), token @ Some(_)) = (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken")) else {
        return Err(malformed("the token service gave no keys"));
    };
    let end = element(credentials, "Expiration").and_then(|text| text.parse::<Timestamp>().ok());
    let end_ms = end.and_then(|end| u64::try_from(end.as_millisecond()).ok());
    let end_ms = end_ms.ok_or_else(|| malformed("the token service did not say when its keys end"))?;
    let value = AwsKeys::new(id, secret, token).map_err(|_| malformed("the token service gave keys that no header can carry"))?;
    Ok(Fresh { value, end_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_keys_or_end_is_malformed() {
        let whole = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>I</AccessKeyId>\
            <SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken><Expiration>2025-01-01T00:00:00Z</Expiration></Credentials>";
        let fresh = keys(whole).unwrap();
        assert_eq!((fresh.value.id(), fresh.value.token(), fresh.end_ms), ("I", Some("T"), 1_735_689_600_000));
        for member in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Credentials"] {
            assert!(keys(&whole.replace(member, "Other")).is_err(), "{member}");
        }
    }
}
