//! OpenAI's chat completions (and legacy completions, embeddings): what a relay must understand of them.

mod answer;
mod call_ids;
mod chunks;
mod codec;
pub(super) mod effort;
mod error;
pub(super) mod models;
mod request;
mod response;
mod stream;
mod thoughts;

pub use call_ids::has_long as has_long_call_ids;
pub use codec::OpenaiChat;
pub use error::{Attempted, Envelope, classify, classify_event, client_code, error_event, error_in_place, error_type};
pub use response::answer_metered;
pub use stream::{Event, Watcher};
