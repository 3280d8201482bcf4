//! The control plane, from the outside.

mod watch;
