//! The accept loop and its end: one task per connection, a cap, back-off when the system is out of descriptors, and a drain.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::Connection;
use super::listener::Socket;
use super::stats::OpenConnection;
use super::workers::{Seat, Workers};
use super::{Config, Handler, Listener, Peer, Stats};

/// Sent in place of service when the connection cap is reached.
const FULL: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 125\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
    r#"{"error":{"message":"Too many connections are open. Try again soon.","type":"server_error","code":"overloaded","param":null}}"#
);
/// Waits after a failed `accept`, doubling: EMFILE does not go away by trying again at once.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What the owner of a server wants of it. A dropped sender means [`Stop::Drain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// Serve.
    #[default]
    Run,
    /// Accept no more, let running requests finish within the grace.
    Drain,
    /// The same, and leave what waits in the socket to another process that has it.
    Leave,
    /// Cut everything.
    Now,
}

/// How the drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that ended by themselves.
    pub finished: usize,
    /// Connections that were cut.
    pub aborted: usize,
}

/// A server: configuration, handler, counters. It may serve several listeners.
#[derive(Debug)]
pub struct Server<H> {
    config: Arc<Config>,
    handler: Arc<H>,
    stats: Arc<Stats>,
    workers: Option<Workers>,
}

impl<H: Handler> Server<H> {
    /// Makes a server whose connections are tasks of the runtime that accepts them.
    pub fn new(config: Config, handler: H) -> Self {
        Self { config: Arc::new(config), handler: Arc::new(handler), stats: Arc::default(), workers: None }
    }

    /// Spreads TCP connections over these threads instead.
    #[must_use]
    pub fn on(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Returns the counters.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Serves a listener until `stop` says otherwise, then drains: stops accepting, closes idle connections, tells the others
    /// (`connection: close`, GOAWAY), waits for running requests, and cuts what is left after the grace or at [`Stop::Now`].
    pub async fn run(&self, listener: Listener, mut stop: watch::Receiver<Stop>) -> Drained {
        let mut tasks = JoinSet::new();
        let mut backoff = BACKOFF.0;
        let mut wait = Duration::ZERO;
        let connection_stop = stop.clone();
        loop {
            let accept = async {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                listener.accept().await
            };
            tokio::select! {
                biased;
                () = draining(&mut stop) => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                accepted = accept => match accepted {
                    Ok(socket) => {
                        (backoff, wait) = (BACKOFF.0, Duration::ZERO);
                        self.admit(socket, &mut tasks, &connection_stop);
                    }
                    Err(error) => {
                        self.stats.count_accept_error();
                        wait = if is_of_one_connection(&error) { Duration::ZERO } else { backoff };
                        backoff = (backoff * 2).min(BACKOFF.1);
                    }
                }
            }
        }
        if *connection_stop.borrow() == Stop::Leave {
            listener.leave();
        } else {
            // The kernel has completed these already; their clients believe that they are being served.
            for socket in listener.into_backlog() {
                self.admit(socket, &mut tasks, &connection_stop);
            }
        }
        self.drain(tasks, stop).await
    }

    async fn drain(&self, mut tasks: JoinSet<()>, mut stop: watch::Receiver<Stop>) -> Drained {
        let total = tasks.len();
        let all = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all => {}
            () = tokio::time::sleep(self.config.grace) => {}
            Ok(_) = stop.wait_for(|stop| *stop == Stop::Now) => {}
        }
        let aborted = tasks.len();
        tasks.shutdown().await;
        Drained { finished: total.saturating_sub(aborted), aborted }
    }

    fn admit(&self, socket: Socket, tasks: &mut JoinSet<()>, stop: &watch::Receiver<Stop>) {
        self.stats.count_accepted();
        if self.stats.open() >= self.config.max_connections as u64 {
            self.stats.count_over_cap();
            if let (Socket::Tcp(stream, _), None) = (socket, &self.config.tls) {
                // Whoever does not take it at once goes without.
                let _ = stream.into_std().and_then(|mut stream| stream.write(FULL.as_bytes()));
            }
            return;
        }
        let open = self.stats.connection();
        match socket {
            Socket::Tcp(stream, address) => {
                let peer = Peer { address: Some(address), uid: None, tls: self.config.tls.is_some() };
                let connection = self.connection(peer, stop.clone());
                match self.workers.as_ref().and_then(Workers::seat) {
                    Some(seat) => serve_elsewhere(seat, connection, stream, open, tasks),
                    None => drop(tasks.spawn(serve_tcp(connection, stream, open))),
                }
            }
            Socket::Unix(stream) => {
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                let connection = self.connection(Peer { uid, ..Peer::default() }, stop.clone());
                tasks.spawn(serve_plain(connection, stream, open));
            }
        }
    }

    fn connection(&self, peer: Peer, stop: watch::Receiver<Stop>) -> Connection<H> {
        Connection { config: Arc::clone(&self.config), handler: Arc::clone(&self.handler), stats: Arc::clone(&self.stats), peer, stop }
    }

    /// Serves one stream that did not come from a listener, without TLS and outside the cap.
    pub async fn serve_stream<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: T,
        peer: Peer,
        stop: watch::Receiver<Stop>,
    ) {
        serve_plain(self.connection(peer, stop), stream, self.stats.connection()).await;
    }
}

async fn serve_tcp<H: Handler>(connection: Connection<H>, stream: TcpStream, open: OpenConnection) {
    match connection.config.tls.as_ref().map(super::Acceptor::config) {
        // Boxed, so that plain connections do not hold room for a handshake.
        Some(tls) => Box::pin(serve_tls(connection, stream, open, tls)).await,
        None => serve_plain(connection, stream, open).await,
    }
}

/// Moves a connection to its place. Its readiness must be told there, so it leaves the runtime that accepted it.
fn serve_elsewhere<H: Handler>(seat: Seat, connection: Connection<H>, stream: TcpStream, open: OpenConnection, tasks: &mut JoinSet<()>) {
    // A socket that cannot be moved is dropped, which closes it.
    let Ok(stream) = stream.into_std() else { return };
    let handle = seat.handle.clone();
    let serve = async move {
        let _seat = seat;
        if let Ok(stream) = TcpStream::from_std(stream) {
            serve_tcp(connection, stream, open).await;
        }
    };
    tasks.spawn_on(serve, &handle);
}

async fn serve_tls<H: Handler>(connection: Connection<H>, stream: TcpStream, open: OpenConnection, tls: Arc<rustls::ServerConfig>) {
    let deadline = Instant::now() + connection.config.head_timeout;
    let handshake = tokio_rustls::TlsAcceptor::from(tls).accept(stream);
    match tokio::time::timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => connection.serve(stream, deadline).await,
        Ok(Err(_)) | Err(_) => connection.stats.count_tls_failure(),
    }
    drop(open);
}

async fn serve_plain<H: Handler, T>(connection: Connection<H>, stream: T, open: OpenConnection)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let deadline = Instant::now() + connection.config.head_timeout;
    connection.serve(stream, deadline).await;
    drop(open);
}

/// Waits for the order to stop.
pub(super) async fn draining(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop != Stop::Run).await;
}

/// Whether the failed `accept` says something about one client, not about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}
