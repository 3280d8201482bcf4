//! The control plane, from the outside.

mod admin;
mod alerts;
mod apply;
mod checks;
mod farewell;
mod lab;
mod lifecycle;
mod limits;
mod money;
mod places;
mod reload;
mod storm;
mod succession;
mod tls;
mod watch;
