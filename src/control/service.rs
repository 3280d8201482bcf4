//! What the service manager is told (`sd_notify`): that the gateway serves, reloads, ends. Nothing, where nobody listens.

use sd_notify::{NotifyState, notify};

/// Says that this process serves; it may not be the one that was started.
pub fn ready() {
    tell(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Says that the spec is being read anew; [`reloaded`] must follow.
pub(super) fn reloading() {
    // The time must go with it: some versions of systemd take a reload without it for a failed one.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// Says that the reload is over, whatever came of it: what runs still does.
pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Says that requests have time to finish, and nothing new is taken.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining: what runs may finish")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Whoever cannot be told has no use for it.
    if let Err(error) = notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
