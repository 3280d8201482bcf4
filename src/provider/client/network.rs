//! What stands in place of the network where nothing may leave the process: connections to somebody in it.
//!
//! All that is around a connection stays as it is: hyper reads and writes, our timers run, our errors are told. Rule: who answers is not
//! known here.

use std::fmt;
use std::io;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use super::pool::failed;
use crate::error::{GatewayError, Kind};
use crate::provider::pieces::Pieces;

/// For which attempt a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// The model, as the provider knows it.
    pub model: &'a str,
    /// The credential's name.
    pub credential: &'a str,
}

/// Stands in place of the network.
pub trait Network: Send + Sync + fmt::Debug {
    /// Opens a connection for one request. May add to its headers what the other side should know.
    ///
    /// # Errors
    /// Nobody is there.
    fn connect(&self, attempted: Option<Attempted<'_>>, headers: &mut HeaderMap) -> io::Result<DuplexStream>;
}

/// The way to whoever stands in place of the network.
#[derive(Debug, Clone)]
pub(super) struct Inside(pub(super) Arc<dyn Network>);

impl Inside {
    /// Sends a request on a connection of its own.
    ///
    /// # Errors
    /// [`Kind::UpstreamConnect`] or [`Kind::UpstreamMalformed`].
    pub(super) async fn send(
        &self,
        mut request: Request<Pieces>,
        attempted: Option<Attempted<'_>>,
    ) -> Result<Response<Incoming>, GatewayError> {
        let stream = self
            .0
            .connect(attempted, request.headers_mut())
            .map_err(|error| GatewayError::new(Kind::UpstreamConnect, "no connection to the provider could be made").detail(error))?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // Ends with the exchange: both halves of it go.
        tokio::spawn(driver);
        sender.send_request(request).await.map_err(|error| failed(&error))
    }
}
