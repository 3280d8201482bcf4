//! Where keys come from, and the chain that AWS's own SDKs walk.

use super::{AwsKeys, Container, Profile, WebIdentity, WebIdentityOptions};
use crate::base::Secret;
use crate::error::{GatewayError, Kind};
use crate::provider::auth::AuthError;
use crate::provider::auth::refreshing::Fresh;
use crate::provider::client::Clients;
use crate::spec::Environment;

/// Where the keys of one credential come from.
#[derive(Debug)]
pub enum AwsSource {
    /// Keys that do not change.
    Static(AwsKeys),
    /// A profile in AWS's own files, which other programs may write anew.
    Profile(Profile),
    /// A token in a file (EKS, GitHub, any OpenID Connect issuer), exchanged for temporary keys.
    WebIdentity(Box<WebIdentity>),
    /// A service of the container's host that gives temporary keys.
    Container(Box<Container>),
}

impl AwsSource {
    /// Looks where AWS's SDKs look, in their order: variables with keys, a web identity, a profile, a container's service.
    ///
    /// # Errors
    /// [`AuthError`], where what was found cannot be used, and where nothing was found.
    pub fn from_environment(env: &dyn Environment, region: &str, clients: &Clients) -> Result<Self, AuthError> {
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
        if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
            let token = set("AWS_SESSION_TOKEN").map(Secret::new);
            return AwsKeys::new(Secret::new(id), Secret::new(secret), token).map(Self::Static);
        }
        let profile = set("AWS_PROFILE");
        if let (Some(file), Some(role_arn), None) = (set("AWS_WEB_IDENTITY_TOKEN_FILE"), set("AWS_ROLE_ARN"), &profile) {
            let options = WebIdentityOptions {
                role_arn,
                token_file: file.into(),
                session_name: set("AWS_ROLE_SESSION_NAME"),
                sts_url: set("AWS_ENDPOINT_URL_STS"),
            };
            return WebIdentity::new(options, region, clients).map(|identity| Self::WebIdentity(Box::new(identity)));
        }
        let found = Profile::from_environment(profile.as_deref(), env);
        if profile.is_some() || found.check().is_ok() {
            return found.check().map(|()| Self::Profile(found));
        }
        if let Some(container) = Container::from_environment(env, clients)? {
            return Ok(Self::Container(Box::new(container)));
        }
        Err(AuthError::NoAwsKeys(match set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(_) => {
                "the role of an ECS task is given by a link-local address, which the gateway never calls; \
                 give it a web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN), a profile, or keys"
            }
            None => {
                "no AWS keys in the environment; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE and \
                 AWS_ROLE_ARN, or AWS_PROFILE (roles of EC2 instances are not asked for: metadata services are never called)"
            }
        }))
    }

    /// Reads what is on this machine, without a call of any service.
    ///
    /// # Errors
    /// [`AuthError`] for a file that cannot be read or says nothing.
    pub fn check(&self) -> Result<(), AuthError> {
        match self {
            Self::Static(_) => Ok(()),
            Self::Profile(profile) => profile.check(),
            Self::WebIdentity(identity) => identity.check(),
            Self::Container(container) => container.check(),
        }
    }

    /// Gets keys that are good for a while.
    pub(super) async fn fetch(&self, now_ms: u64) -> Result<Fresh<AwsKeys>, GatewayError> {
        match self {
            Self::Static(keys) => Ok(Fresh { value: keys.clone(), end_ms: u64::MAX }),
            Self::Profile(profile) => profile.fetch(now_ms).await,
            Self::WebIdentity(identity) => identity.fetch().await,
            Self::Container(container) => container.fetch(now_ms).await,
        }
    }
}

/// Makes the error of a credential that cannot be used now, for a reason on this machine.
pub(super) fn unusable(error: &AuthError) -> GatewayError {
    GatewayError::new(Kind::UpstreamAuth, "the gateway could not sign in to the provider").detail(error)
}
