//! The accept loop over hyper: timers, caps, strict gate, drain.
