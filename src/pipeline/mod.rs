//! One request, in order: auth, intake, decide, attempt, relay.
