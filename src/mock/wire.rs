//! What a connection of the mock runs on: a socket, or a pipe within the process.

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// Both directions of a connection.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes its end a reset, where there is such a thing.
    fn reset_at_end(&self);
}

impl Wire for TcpStream {
    fn reset_at_end(&self) {
        // A socket that is gone already needs no reset.
        let _ = self.set_zero_linger();
    }
}

impl Wire for DuplexStream {
    fn reset_at_end(&self) {}
}
