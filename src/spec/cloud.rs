//! How a credential proves itself to a cloud, where a key in a header is not the way.
//!
//! Everything that is secret is a reference. What combines and what does not is judged by [`crate::plan`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::refs::SecretRef;

/// The keys of an AWS account: `environment`, or one of `access_key_id` with `secret_access_key`, `profile`, and `web_identity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Aws {
    /// `environment`: what AWS's SDKs find in the gateway's environment: variables with keys, a web identity, a profile, or a service of the
    /// container's host. Metadata services are never called.
    Environment(FromEnvironment),
    /// Where else the keys are.
    Account(Box<AwsAccount>),
}

/// The word for what the gateway's environment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FromEnvironment {
    /// Looked for where the cloud's own SDKs look.
    Environment,
}

/// Where the keys of an AWS account are: exactly one of `access_key_id` with `secret_access_key`, `profile`, and `web_identity`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsAccount {
    /// The id of a key.
    pub access_key_id: Option<SecretRef>,
    /// The key that belongs to the id.
    pub secret_access_key: Option<SecretRef>,
    /// The token that belongs to temporary keys.
    pub session_token: Option<SecretRef>,
    /// A profile in AWS's own files, which is read again every five minutes. It must hold keys: no program is run for them.
    #[schemars(length(min = 1))]
    pub profile: Option<String>,
    /// The file that holds the profile, relative to the spec. Default: those of the environment, `~/.aws/credentials` and `~/.aws/config`.
    #[schemars(length(min = 1))]
    pub shared_credentials_file: Option<String>,
    /// A role that is assumed with the token of an OpenID Connect issuer: service accounts of EKS, runners of GitHub.
    pub web_identity: Option<WebIdentity>,
}

/// A role that is assumed with a token, which its issuer writes into a file again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebIdentity {
    /// The role.
    #[schemars(length(min = 1), extend("examples" = ["arn:aws:iam::123456789012:role/gateway"]))]
    pub role_arn: String,
    /// The file with the token, relative to the spec.
    #[schemars(length(min = 1))]
    pub token_file: String,
    /// What the session is called in AWS's logs. Default: bifrostctl.
    #[schemars(length(min = 2), regex(pattern = "^[A-Za-z0-9_+=,.@-]+$"))]
    pub session_name: Option<String>,
    /// The token service, where it is not the region's own.
    #[schemars(length(min = 1))]
    pub sts_url: Option<String>,
}

/// Whom Google signs in: `environment`, or a key file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Google {
    /// `environment`: the key file that `GOOGLE_APPLICATION_CREDENTIALS` names, or the one that `gcloud auth application-default login`
    /// wrote. Metadata services are never called.
    Environment(FromEnvironment),
    /// A key file.
    Account(GoogleAccount),
}

/// A key file of Google's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoogleAccount {
    /// The JSON of a service account's key, or of a user's (`type: authorized_user`), whole.
    pub service_account: SecretRef,
}
