//! With whom limits are shared: made known at the start, when it is known what the spec says.

use std::sync::Arc;

use super::ready::Ready;
use super::start::{StartError, cannot_run};
use crate::base::Clock;
use crate::limit::Sharing;
use crate::plan::State;
use crate::table::Services;

/// Says with whom the limits of the plan are shared. Does not wait for the server: where it does not answer, each gateway keeps to its part.
///
/// # Errors
/// [`StartError`], where its address cannot be read, or is none.
pub(super) fn share(ready: &Ready, services: &Services, clock: &Arc<dyn Clock>) -> Result<(), StartError> {
    let gateway = &ready.candidate.plan.gateway;
    let server = match &gateway.state {
        State::Shared(shared) => shared.redis.as_ref(),
        State::Directory(_) => None,
    };
    let rates = match server {
        None => None,
        Some(server) => {
            let refused = |why: &str| cannot_run(&ready.candidate, "/gateway/state/redis", why);
            let address = crate::provider::resolve(server, &*services.env, &services.base_dir)
                .map_err(|error| refused(&format!("the URL of the Redis cannot be read: {error}")))?;
            Some(connect(&address.ok_or_else(|| refused("the Redis has no URL"))?, clock).map_err(|why| refused(&why))?)
        }
    };
    services.counters.share(Sharing { gateways: gateway.replicas, rates });
    Ok(())
}

#[cfg(feature = "redis")]
fn connect(address: &crate::base::Secret<String>, clock: &Arc<dyn Clock>) -> Result<Arc<crate::store::rates::SharedRates>, String> {
    let rates = crate::store::rates::SharedRates::new(address, Arc::clone(clock));
    rates.map(Arc::new).map_err(|error| format!("its URL names no Redis, such as `redis://host:6379/0`: {error}"))
}

#[cfg(not(feature = "redis"))]
fn connect(_: &crate::base::Secret<String>, _: &Arc<dyn Clock>) -> Result<Arc<crate::store::rates::SharedRates>, String> {
    Err("this program was built without Redis (its feature `redis`)".to_owned())
}
