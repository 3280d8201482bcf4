//! The front door: an accept loop of our own over hyper, with timers, caps, a strict gate and a drain. It knows nothing of LLMs.
//!
//! One task per connection serves HTTP/1.1, or HTTP/2 (by ALPN, or by prior knowledge on plain text). What is refused here never
//! reaches the [`Handler`]. It is not a router and holds no keys, routes or bodies.
//!
//! Why not a ready-made loop: `axum::serve` kept 200 of 200 slowloris connections alive after 45 s and drops accepted connections on
//! shutdown; hyper alone takes `Content-Length` with `Transfer-Encoding`, two `Host`s and bare line feeds, and never times out a
//! silent connection or a dripping body.
//!
//! | file | is |
//! |---|---|
//! | `config` | caps and timers with the reason for each default |
//! | `listener` | TCP and Unix sockets |
//! | `serve` | accept loop, drain |
//! | `connection` | one connection: first bytes, protocol, refusal, lingering close |
//! | `gate` | the checks on raw bytes before hyper sees them |
//! | `body` | request body with cap, idle timer and minimum rate |
//! | `response` | response body that tells the connection when it is over |
//! | `tls` | rustls with certificates that can be reloaded |
//! | `workers` | threads that connections are spread over |

mod body;
mod config;
mod connection;
mod gate;
mod listener;
mod response;
mod serve;
mod stats;
mod tls;
mod workers;

use std::net::SocketAddr;

pub use body::{BodyError, RequestBody};
pub use config::{BodyTimers, Config};
pub use gate::{Framing, Reason, check};
pub use listener::{BindError, Listener, SocketFile};
pub use response::ResponseBody;
pub use serve::{Drained, Server, Stop};
pub use stats::Stats;
pub use tls::{Acceptor, Certificate, TlsError};
pub use workers::Workers;

/// Any error of a response body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Answers requests. One value serves every connection.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer. An error in it cuts the connection (HTTP/1.1) or resets the stream (HTTP/2).
    type Body: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static;

    /// Answers one request.
    ///
    /// The future and the body that it returns are dropped as soon as the client is gone, also while neither has anything to say.
    /// The request body has not been read yet, and `100 Continue` goes out only when it is first polled. Once it has been read in
    /// part only, the connection closes after the answer.
    fn handle(&self, request: http::Request<RequestBody>, peer: Peer) -> impl Future<Output = http::Response<Self::Body>> + Send;
}

/// Who is on the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// Address; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// User id of the process on the other end of a Unix socket.
    pub uid: Option<u32>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}
