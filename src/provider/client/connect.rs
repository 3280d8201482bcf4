//! New connections to one origin: name, TCP, TLS.
//!
//! hyper-util's connector dials (both address families, the quicker wins) and rustls speaks TLS; here is only how they meet. Rule: one
//! limit over all of it.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service as _;

use super::TCP_KEEPALIVE;
use super::judge::{Judge, Unresolved};
use crate::base::Origin;
use crate::error::{GatewayError, Kind};
use crate::provider::body::{chain, links};
use crate::provider::destination::Refused;

/// Makes connections to one origin.
pub(super) struct Connector {
    http: HttpConnector<Judge>,
    uri: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    limit: Duration,
}

impl Connector {
    /// Prepares to dial `origin`, each time within `limit`. `tls` is used where the origin speaks it.
    ///
    /// # Errors
    /// An origin that is no host for a URL or a certificate.
    pub(super) fn new(origin: &Origin, judge: Judge, tls: Arc<ClientConfig>, limit: Duration) -> Result<Self, Box<dyn Error>> {
        let mut http = HttpConnector::new_with_resolver(judge);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(TCP_KEEPALIVE));
        // Shared among the addresses of a name, so that a dead one leaves time for the next.
        http.set_connect_timeout(Some(limit));
        let tls = match origin.https {
            true => Some((TlsConnector::from(tls), ServerName::try_from(origin.host().to_owned())?)),
            false => None,
        };
        Ok(Self { http, uri: Uri::try_from(origin.url())?, tls, limit })
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// [`Kind::UpstreamConnect`].
    pub(super) async fn connect(&self) -> Result<TokioIo<Stream>, GatewayError> {
        match tokio::time::timeout(self.limit, self.dial()).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
            Ok(Err(error)) => Err(failed(&*error)),
            Err(_) => Err(GatewayError::new(Kind::UpstreamConnect, "connecting to the provider took too long")
                .detail(format_args!("no connection within {} ms", self.limit.as_millis()))),
        }
    }

    async fn dial(&self) -> Result<Stream, Box<dyn Error + Send + Sync>> {
        let tcp = self.http.clone().call(self.uri.clone()).await?.into_inner();
        let Some((connector, name)) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        Ok(Stream::Tls(Box::new(connector.connect(name.clone(), tcp).await?)))
    }
}

/// Maps a failed dial.
pub(super) fn failed(error: &(dyn Error + 'static)) -> GatewayError {
    if let Some(refused) = links(error).find_map(|link| link.downcast_ref::<Refused>()) {
        return GatewayError::new(Kind::UpstreamConnect, "the gateway refuses to connect to this provider's address").detail(refused);
    }
    let is_late =
        |link: &(dyn Error + 'static)| link.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
    let public = if links(error).any(|link| link.is::<Unresolved>()) {
        "the provider's name could not be resolved"
    } else if links(error).any(is_late) {
        "connecting to the provider took too long"
    } else {
        "could not connect to the provider"
    };
    GatewayError::new(Kind::UpstreamConnect, public).detail(chain(error))
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
