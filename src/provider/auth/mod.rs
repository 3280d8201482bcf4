//! How requests prove to a provider who sends them: one file or folder per way, and [`Signer`], which is any of them.
//!
//! It decides no retries and reads no spec: whoever builds a signer brings the secrets. Rule: no error and no `Debug` holds any part of
//! a secret, the time is an argument, and nobody but the services named here and in the spec is called.

mod aws;
mod endpoint;
mod error;
mod google;
mod header;
mod refreshing;
mod sign_in;

pub use aws::{AwsKeys, AwsSource, Container, Profile, Scope, SigV4, WebIdentity, WebIdentityOptions};
pub use error::AuthError;
pub use google::Google;
pub use header::CredentialHeader;
pub use sign_in::{Ready, SignInError, Signers, Why, World};

use http::HeaderValue;

use super::client::Outbound;
use crate::error::GatewayError;

/// How requests that use one credential are signed.
#[derive(Debug)]
pub enum Signer {
    /// A header that never changes, or none.
    Header(CredentialHeader),
    /// AWS Signature Version 4: Bedrock.
    SigV4(Box<SigV4>),
    /// Google's access tokens: Vertex.
    Google(Box<Google>),
}

impl Signer {
    /// Signs a request that is otherwise ready: nothing of it may change afterwards. `host` is [`super::Client::host`], `now_ms` the Unix
    /// time in milliseconds.
    ///
    /// May call a service that gives tokens or temporary keys: once for all requests that wait, and ahead of time while the old ones are
    /// still good.
    ///
    /// # Errors
    /// Of that call: [`crate::error::Kind::UpstreamAuth`] where we were refused or a file on this machine is missing, which the next
    /// attempt may find again; [`crate::error::Kind::UpstreamConnect`] and others where the service is in trouble.
    pub async fn sign(&self, outbound: &mut Outbound, host: &HeaderValue, now_ms: u64) -> Result<(), GatewayError> {
        match self {
            Self::Header(header) => {
                if let Some((name, value)) = header.get() {
                    outbound.headers.insert(name.clone(), value.clone());
                }
                Ok(())
            }
            // Boxed where they run, for most credentials are a header.
            Self::SigV4(signer) => Box::pin(signer.sign(outbound, host, now_ms)).await,
            Self::Google(signer) => Box::pin(signer.sign(outbound, now_ms)).await,
        }
    }

    /// Returns whether it is renewed from time to time, so that a refusal may be over without a change of the spec.
    pub fn is_renewed(&self) -> bool {
        match self {
            Self::Header(_) => false,
            Self::SigV4(signer) => signer.is_renewed(),
            Self::Google(_) => true,
        }
    }

    /// The provider refused what was signed: what was kept for a minute or longer is not used again. Returns whether another signature may
    /// differ from the one that was refused.
    pub fn forget(&self, now_ms: u64) -> bool {
        match self {
            Self::Header(_) => false,
            Self::SigV4(signer) => signer.forget(now_ms),
            Self::Google(signer) => signer.forget(now_ms),
        }
    }
}
