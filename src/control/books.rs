//! The book, opened at the start: in the state directory, or on the PostgreSQL that gateways share.

use std::sync::Arc;

use super::ready::Ready;
use super::start::{StartError, cannot_run};
use crate::base::Clock;
use crate::plan::{SharedState, State};
use crate::store::book::{self, Book, Failure, Recovered};
use crate::store::{Revisions, StoreError};
use crate::table::Services;

/// Opens the book that the plan names, and tells what a crash had left open; where another gateway still writes to it, opens it beside that.
///
/// # Errors
/// [`StartError`].
pub(super) async fn open(
    store: &Revisions,
    ready: &Ready,
    services: &Services,
    (clock, takes_over): (&Arc<dyn Clock>, bool),
) -> Result<Book, StartError> {
    let path = store.state().join(book::FILE);
    let (book, Recovered { expired, charged }) = match &ready.candidate.plan.gateway.state {
        State::Directory(_) if takes_over => {
            let book = blocking(move || Book::open_beside(&path, Arc::new(end_at_once))).await?;
            (book, Recovered::default())
        }
        State::Directory(_) => {
            let now_ms = clock.unix_ms();
            blocking(move || Book::open(&path, now_ms, Arc::new(end_at_once))).await?
        }
        State::Shared(shared) => {
            if path.exists() {
                tracing::warn!(path = %path.display(), "what was spent before is in this book; the shared one does not know of it");
            }
            join(shared, ready, services, clock).await?
        }
    };
    if expired > 0 {
        tracing::warn!(expired, %charged, "attempts that ran when a gateway ended are charged what is known of them");
    }
    Ok(book)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StartError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| StartError::System(error.to_string()))??)
}

/// Where the spec names the server.
const PLACE: &str = "/gateway/state/postgres";

#[cfg(feature = "postgres")]
async fn join(shared: &SharedState, ready: &Ready, services: &Services, clock: &Arc<dyn Clock>) -> Result<(Book, Recovered), StartError> {
    let url = crate::provider::resolve(&shared.postgres, &*services.env, &services.base_dir);
    let url = match url {
        Ok(Some(url)) => url,
        Ok(None) => return Err(cannot_run(&ready.candidate, PLACE, "the shared book has no URL")),
        Err(error) => return Err(cannot_run(&ready.candidate, PLACE, &format!("the URL of the shared book cannot be read: {error}"))),
    };
    let place = book::Place { url, schema: shared.schema.clone(), lease: shared.lease.get() };
    // Tells gateways apart for people who look at the tables; nothing depends on it.
    let name = format!("{} ({})", ready.candidate.plan.gateway.listen, std::process::id());
    let clock = Arc::clone(clock);
    blocking(move || Book::join(place, &name, &clock, Arc::new(end_at_once))).await
}

#[cfg(not(feature = "postgres"))]
async fn join(_: &SharedState, ready: &Ready, _: &Services, _: &Arc<dyn Clock>) -> Result<(Book, Recovered), StartError> {
    Err(cannot_run(&ready.candidate, PLACE, "this program was built without PostgreSQL (its feature `postgres`)"))
}

/// Ends the process: what the disk lost cannot be told from what it kept, but by a process that reads it anew.
fn end_at_once(failure: &Failure) {
    tracing::error!(error = %failure, "the gateway ends, so that its next start finds what is really on the disk");
    std::process::abort();
}
