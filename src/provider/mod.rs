//! Outbound: secrets and credentials, the HTTP client, which headers travel, when to wait, and what is known about the health of
//! credentials and targets.
//!
//! It knows nothing of formats, aliases or clients' keys. Rule: what outlives a change of the spec ([`Clients`], [`Health`]) is keyed by
//! stable ids or by what changes a connection, never by a revision.

mod auth;
mod body;
mod client;
mod destination;
mod headers;
mod health;
mod pieces;
mod proxy;
mod retry_after;
mod secret;

pub use crate::base::{Destination, DestinationError, Policy, Refusal, is_hop_by_hop};
pub use auth::{
    AuthError, AwsKeys, AwsSource, Container, CredentialHeader, Google, Profile, Ready, Scope, SigV4, SignInError, Signer, Signers,
    WebIdentity, WebIdentityOptions, Why, World,
};
pub use body::IdleBody;
pub use client::{Attempted, Body as UpstreamBody, BuildError, Client, ClientOptions, Clients, Network, Outbound, Upstream, Waits};
pub use destination::{Looking, Lookup, Refused, SystemLookup};
pub use headers::{Travel, request_headers, response_headers};
pub use health::{
    Admit, Answered, Breaker, BreakerSnapshot, BreakerState, CredentialHealth, CredentialState, Ear, Health, InVain, Load, LoadSnapshot,
    Place, Places, PlacesSnapshot, Probe, Reach, Reason, Running, TargetHealth, Ticket, Timed, Times, Whose,
};
pub use pieces::Pieces;
pub use proxy::Proxies;
pub use retry_after::{Spare, retry_after_ms, spare};
pub use secret::{SecretError, fingerprint, resolve, resolve_document};
