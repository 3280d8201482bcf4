//! The control plane: reload, watch, admin API.

pub mod watch;
