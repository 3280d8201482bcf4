//! What the user wrote: types, positions, loading, diagnostics, schema.
//!
//! Rule: one loader, one meaning. A value reaches [`Spec`] only through [`load`], which knows where every leaf came from.

pub(in crate::spec) mod balance;
mod budget;
mod cloud;
pub mod codes;
mod diagnostic;
pub mod edit;
mod format;
mod hedge;
mod limit;
mod load;
mod loaded;
mod policy;
mod price;
mod provider;
mod quirks;
mod refs;
pub mod report;
mod schema;
mod source;
pub(crate) mod suggest;
mod test;
mod types;
mod yaml;

pub use balance::{Balance, ShareError, Sticky, TrafficShare};
pub use budget::{Budget, BudgetMode, BudgetRef, OnStoreError, Percent, Period, Unpriced, WhenExhausted};
pub use cloud::{Aws, AwsAccount, FromEnvironment, Google, GoogleAccount, WebIdentity};
pub use diagnostic::{Diagnostic, Location, Severity};
pub use format::{FormatError, format};
pub use hedge::{Hedge, HedgeAfter, HedgeAfterError};
pub use limit::{RateLimit, RateLimits};
pub use load::{Document, concealed, document, load, load_tests, masked, texts, tidy};
pub use loaded::{Environment, Inputs, Loaded, ProcessEnvironment, Rejected, Spans};
pub use policy::{ChangeAction, Policy, RiskPolicy, RiskWord};
pub use price::{OtherRates, Price, tokens};
pub use provider::{Adaptive, Api, AuthScheme, Concurrency, Credential, HealthCheck, ModelCapacity, Provider, Retries, Timeouts};
pub use quirks::{CacheMarks, MaxTokensField, Quirks, ReasoningField, RerankWords, ToolCallIds};
pub use refs::{FallbackRef, SecretRef, TargetRef};
pub use schema::{Draft, schema, test_schema};
pub use source::{Disk, Files, Memory, Source, Sources};
pub use test::{
    Defaults, Endpoint as TestEndpoint, Expect, Feature, LoadedTests, Named, Outcome, Outcomes, Shares, Test, TestFile, TestRequest,
};
pub use types::*;
pub use yaml::to_yaml;
