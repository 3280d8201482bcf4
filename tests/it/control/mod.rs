//! The control plane, from the outside.

mod admin;
mod apply;
mod lab;
mod lifecycle;
mod limits;
mod money;
mod reload;
mod storm;
mod tls;
mod watch;
