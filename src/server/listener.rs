//! Where connections come from: TCP, or a Unix socket that only its owner may open.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Connections that the kernel completes while we are busy.
const BACKLOG: u32 = 1024;
/// Bytes that wait in the kernel for a client that takes no more. Without it the kernel keeps megabytes for each, and a client that reads
/// slowly seems to read nothing: room is told only when a third of that is free.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 16 << 10;

/// Why a listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address does not resolve, or the system refused.
    #[error("cannot listen on {place}: {source}")]
    Io {
        /// Address or path, as configured.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process answers on this Unix socket.
    #[error("another process is listening on {0}")]
    InUse(PathBuf),
    /// The path exists and is not a socket; it is left alone.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// TCP. Connections get `TCP_NODELAY`.
    Tcp(TcpListener),
    /// A Unix socket of mode 0600; its file goes when the listener drops, if it is this process's.
    Unix(UnixListener, SocketFile),
}

/// One accepted connection.
pub(super) enum Socket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on `host:port` with `SO_REUSEADDR`. Must run in a tokio runtime.
    ///
    /// # Errors
    /// [`BindError::Io`] with the address.
    pub async fn tcp(listen: &str) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { place: listen.to_owned(), source };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address");
        for address in tokio::net::lookup_host(listen).await.map_err(failed)? {
            match bind_tcp(address) {
                Ok(listener) => return Ok(Self::Tcp(listener)),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// Listens on a Unix socket. The file has mode 0600 before it appears at `path`; one that is left from a dead process is replaced.
    ///
    /// # Errors
    /// [`BindError::InUse`] when somebody answers there, [`BindError::NotASocket`] when the path is another kind of file.
    pub fn unix(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { place: path.display().to_string(), source };
        check_free(path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Bound in a directory that nobody else may enter, then moved: there is no moment at which others could connect.
        let nest = tempfile::Builder::new().prefix(".s").rand_bytes(4).tempdir_in(parent).map_err(failed)?;
        let hidden = nest.path().join("s");
        let listener = UnixListener::bind(&hidden).map_err(failed)?;
        std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = std::fs::symlink_metadata(&hidden).map_err(failed)?.ino();
        std::fs::rename(&hidden, path).map_err(failed)?;
        Ok(Self::Unix(listener, SocketFile { path: path.to_owned(), inode: Some(inode) }))
    }

    /// Takes a socket that listens already. Must run in a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    /// Takes a Unix socket that listens already. Its file is somebody else's, and stays. Must run in a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(UnixListener::from_std(listener)?, SocketFile { path: PathBuf::new(), inode: None }))
    }

    /// Takes over the file of a Unix socket: it goes when the listener drops.
    pub fn own(&mut self, path: &Path) {
        match self {
            Self::Tcp(_) => {}
            Self::Unix(_, file) => file.own(path),
        }
    }

    /// Makes another descriptor of the same socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Self::Unix(listener, _) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Stops listening here, and leaves what waits, and the file of a Unix socket, to whoever else has the socket.
    pub(super) fn leave(self) {
        match self {
            Self::Tcp(_) => {}
            Self::Unix(_, file) => file.leave(),
        }
    }

    /// Returns the bound TCP address.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                adapt(&stream);
                Ok(Socket::Tcp(stream, address))
            }
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        }
    }

    /// Stops listening; returns the connections that the kernel has completed already. The runtime may not have noticed them yet.
    pub(super) fn into_backlog(self) -> Vec<Socket> {
        match self {
            Self::Tcp(listener) => listener.into_std().map(|listener| tcp_backlog(&listener)).unwrap_or_default(),
            Self::Unix(listener, _file) => listener.into_std().map(|listener| unix_backlog(&listener)).unwrap_or_default(),
        }
    }
}

/// Sets what a connection of a client needs. A socket that died meanwhile may refuse; whoever uses it next is told.
fn adapt(stream: &TcpStream) {
    // Without it, small events wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

fn tcp_backlog(listener: &std::net::TcpListener) -> Vec<Socket> {
    let adopt = |(stream, address): (std::net::TcpStream, SocketAddr)| {
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream)?;
        adapt(&stream);
        Ok::<_, io::Error>(Socket::Tcp(stream, address))
    };
    std::iter::from_fn(|| listener.accept().ok()).filter_map(|accepted| adopt(accepted).ok()).collect()
}

fn unix_backlog(listener: &std::os::unix::net::UnixListener) -> Vec<Socket> {
    let adopt = |stream: std::os::unix::net::UnixStream| {
        stream.set_nonblocking(true)?;
        Ok::<_, io::Error>(Socket::Unix(UnixStream::from_std(stream)?))
    };
    std::iter::from_fn(|| listener.accept().ok()).filter_map(|(stream, _)| adopt(stream).ok()).collect()
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn check_free(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { place: path.display().to_string(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// The file of a Unix socket; removed when this drops, unless another process has put its own there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// None where it is somebody else's.
    inode: Option<u64>,
}

impl SocketFile {
    /// Takes over a file from another process.
    pub fn own(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
        self.inode = std::fs::symlink_metadata(path).ok().map(|metadata| metadata.ino());
    }

    /// Leaves the file to whoever has the socket now.
    pub fn leave(mut self) {
        self.inode = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.inode.is_some() && std::fs::symlink_metadata(&self.path).ok().map(|metadata| metadata.ino()) == self.inode {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
