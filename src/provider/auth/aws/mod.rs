//! AWS: keys from where they are kept, and the signature that they make.
//!
//! Not AWS's whole chain of sources: a metadata service's address is never dialled, so neither instances' roles (IMDS) nor ECS task roles
//! come from here; programs are not run, and nobody is signed in by a browser. Web identities and profiles are what is left, and what
//! containers offer on this machine.

mod container;
mod keys;
mod profile;
mod sign;
mod source;
mod web_identity;

pub use container::Container;
pub use keys::AwsKeys;
pub use profile::Profile;
pub use sign::Scope;
pub use source::AwsSource;
pub use web_identity::{WebIdentity, WebIdentityOptions};

use http::HeaderValue;

use super::refreshing::Refreshing;
use crate::error::GatewayError;
use crate::provider::client::Outbound;

/// Signs requests with AWS Signature Version 4.
#[derive(Debug)]
pub struct SigV4 {
    scope: Scope,
    source: AwsSource,
    temporary: Refreshing<AwsKeys>,
}

impl SigV4 {
    /// Makes a signer. Nothing is called before the first request; [`AwsSource::check`] tells what can be told without one.
    pub fn new(scope: Scope, source: AwsSource) -> Self {
        Self { scope, source, temporary: Refreshing::default() }
    }

    pub(super) async fn sign(&self, outbound: &mut Outbound, host: &HeaderValue, now_ms: u64) -> Result<(), GatewayError> {
        if let AwsSource::Static(keys) = &self.source {
            return sign::sign(keys, &self.scope, outbound, host, now_ms);
        }
        // Boxed where it runs: a call is large, and most requests make none.
        let keys = self.temporary.get(now_ms, async { Box::pin(self.source.fetch(now_ms)).await }).await?;
        sign::sign(&keys, &self.scope, outbound, host, now_ms)
    }

    pub(super) const fn is_renewed(&self) -> bool {
        match self.source {
            AwsSource::Static(_) => false,
            AwsSource::Profile(_) | AwsSource::WebIdentity(_) | AwsSource::Container(_) => true,
        }
    }

    pub(super) fn forget(&self, now_ms: u64) -> bool {
        self.temporary.forget(now_ms)
    }
}
