//! The server over real sockets and in-memory streams: what it refuses, what it serves, when it cuts, how it ends.

mod corpus;
mod disconnect;
mod idle;
mod lifecycle;
mod soup;
mod support;
mod timers;
mod tls;
mod unsent;
