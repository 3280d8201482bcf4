//! Plan + services → [`RoutingTable`], which is immutable; the pure decision over it; and the one pointer that the data plane reads.

mod build;
mod by_provider;
mod decide;
mod entry;
pub mod explain;
mod facts;
mod hedging;
mod hosting;
mod live;
mod order;
mod payer;
pub mod quote;
pub mod refusal;
mod rules;
mod session;
mod speech;
mod template;

pub use build::{PrepareError, Services, prepare};
pub use by_provider::{ProviderDenial, decide_provider};
pub use decide::{Ask, Candidate, Decision, Denial, Excluded, Exclusion, KeptOut, Return, Standing, decide, decide_alias};
pub use entry::{Alias, Credential, ENDPOINTS, EVERY_MODEL, Key, Member, Provider, RoutingTable, Stage, Target, Unnamed};
pub use facts::{Request, Uses, estimated_tokens, max_output_tokens, uses};
pub use hedging::Hedging;
pub use hosting::Hosting;
pub use live::Live;
pub use order::Size;
pub use rules::{Rule, RuleAction, Verdict};
pub use session::session;
pub use template::{HeaderFault, HeaderLine, Prompt};
