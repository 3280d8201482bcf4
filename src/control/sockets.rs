//! Listening sockets that a start is given instead of making them: by the service manager (systemd's socket activation), or by the gateway
//! before.
//!
//! Rule: where clients connect is the service manager's to say, and the log tells when the spec says otherwise; the admin API is never
//! served on anything that the spec does not name, for its place decides who may change the gateway.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use super::start::StartError;
use crate::plan;
use crate::server::Listener;

/// Names that the service manager may give (`FileDescriptorName=`).
const CLIENTS: &str = "clients";
const ADMIN: &str = "admin";

/// The sockets of one start; each is made where it is not given.
#[derive(Debug, Default)]
pub struct Sockets {
    clients: Option<TcpListener>,
    admin: Option<Given>,
    /// They are those of the gateway before, and so must be where the spec says.
    are_inherited: bool,
}

/// A socket for the admin API.
#[derive(Debug)]
enum Given {
    Tcp(TcpListener),
    /// With its file, where the socket itself does not know it: one that was bound elsewhere and moved.
    Unix(UnixListener, Option<PathBuf>),
}

/// Why sockets that were passed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// One of them is not what it should be.
    #[error("the socket that was passed as {name} cannot be used: {why}")]
    Unfit {
        /// Its name, or its place.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// There are more than a gateway has use for.
    #[error("{0} sockets were passed; a gateway takes one for clients and one for the admin API")]
    TooMany(usize),
}

impl Sockets {
    /// Takes the sockets that `LISTEN_FDS` announces, by their `LISTEN_FDNAMES`: `clients` and `admin`; without names, in this order.
    /// Takes the variables out of the environment, so that no child believes them: call it before there are threads.
    ///
    /// # Errors
    /// [`SocketsError`].
    pub fn passed() -> Result<Self, SocketsError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        if passed.len() > 2 {
            return Err(SocketsError::TooMany(passed.len()));
        }
        let mut sockets = Self::default();
        for (place, role) in roles(&names, passed.len()).into_iter().enumerate() {
            let unfit = |why: io::Error| SocketsError::Unfit { name: role.to_owned(), why: why.to_string() };
            if role == CLIENTS {
                sockets.clients = passed.take_tcp_listener(place).map_err(unfit)?;
                continue;
            }
            sockets.admin = match passed.take_unix_listener(place) {
                Ok(listener) => listener.map(|listener| Given::Unix(listener, None)),
                Err(_) => passed.take_tcp_listener(place).map_err(unfit)?.map(Given::Tcp),
            };
        }
        Ok(sockets)
    }

    /// Takes the sockets of the gateway before, beginning with that for clients.
    pub(super) fn inherited(clients: TcpListener) -> Self {
        Self { clients: Some(clients), admin: None, are_inherited: true }
    }

    /// Takes a socket for the admin API.
    #[must_use]
    pub(super) fn with_tcp_admin(mut self, listener: TcpListener) -> Self {
        self.admin = Some(Given::Tcp(listener));
        self
    }

    /// Takes a Unix socket for the admin API, and says where its file is.
    #[must_use]
    pub(super) fn with_admin(mut self, listener: UnixListener, file: PathBuf) -> Self {
        self.admin = Some(Given::Unix(listener, Some(file)));
        self
    }

    /// Returns what clients connect to: what was given, or a socket at the spec's address.
    ///
    /// # Errors
    /// [`StartError::Listen`] and [`StartError::System`].
    pub(super) async fn clients(&mut self, listen: &str) -> Result<Listener, StartError> {
        let Some(given) = self.clients.take() else { return Ok(Listener::tcp(listen).await?) };
        let address = given.local_addr().map_err(|error| unusable(CLIENTS, &error))?;
        let is_elsewhere = !is_at(listen, address).await;
        if is_elsewhere && self.are_inherited {
            let why = format!("clients connect to {address}, and `gateway.listen` is {listen} now: that needs a restart");
            return Err(StartError::System(why));
        }
        if is_elsewhere {
            tracing::warn!(%address, spec = listen, "clients connect to the socket that was passed, which is not where the spec says");
        }
        Listener::from_tcp(given).map_err(|error| unusable(CLIENTS, &error))
    }

    /// Returns what was given for the admin API, where something was.
    ///
    /// # Errors
    /// [`StartError::System`], where the spec does not name it, or others may open it.
    pub(super) async fn admin(&mut self, admin: &plan::Admin) -> Result<Option<Listener>, StartError> {
        let other = |place: String| {
            StartError::System(format!("the socket that was passed for the admin API is {place}, and `gateway.admin` is another place"))
        };
        match (self.admin.take(), admin) {
            (None, _) => Ok(None),
            (Some(Given::Tcp(given)), plan::Admin::Tcp { listen, .. }) => {
                let address = given.local_addr().map_err(|error| unusable(ADMIN, &error))?;
                if !is_at(listen, address).await {
                    return Err(other(address.to_string()));
                }
                Listener::from_tcp(given).map(Some).map_err(|error| unusable(ADMIN, &error))
            }
            (Some(Given::Unix(given, file)), plan::Admin::Unix(path)) => {
                let bound = || given.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
                let bound = file.or_else(bound).unwrap_or_default();
                let same = |path: &Path| path.canonicalize().ok();
                if same(&bound).is_none() || same(&bound) != same(Path::new(path)) {
                    return Err(other(bound.display().to_string()));
                }
                let mode = std::fs::metadata(&bound).map_err(|error| unusable(ADMIN, &error))?.permissions().mode();
                if mode & 0o077 != 0 {
                    let why =
                        format!("others than its owner may open {} (its mode is {:04o}; SocketMode=0600)", bound.display(), mode & 0o777);
                    return Err(StartError::System(why));
                }
                Listener::from_unix(given).map(Some).map_err(|error| unusable(ADMIN, &error))
            }
            (Some(Given::Tcp(_)), plan::Admin::Unix(_)) => Err(other("on TCP".to_owned())),
            (Some(Given::Unix(..)), plan::Admin::Tcp { .. }) => Err(other("on a Unix socket".to_owned())),
        }
    }
}

/// Says what each of the sockets is for.
fn roles(names: &str, count: usize) -> Vec<&'static str> {
    let named: Vec<_> = names.split(':').map(|name| [CLIENTS, ADMIN].into_iter().find(|role| *role == name)).take(count).collect();
    let has = |role| named.contains(&Some(role));
    // What has no name of ours, such as that of its unit, is the first that is missing.
    let mut left = [CLIENTS, ADMIN].into_iter().filter(|role| !has(*role));
    let named = named.iter().copied().chain(std::iter::repeat(None)).take(count);
    named.filter_map(|role| role.or_else(|| left.next())).collect()
}

/// Returns whether a socket is where the spec says, or the spec says no port.
async fn is_at(listen: &str, address: SocketAddr) -> bool {
    let Ok(mut named) = tokio::net::lookup_host(listen).await else { return false };
    named.any(|named| named == address || (named.port() == 0 && named.ip() == address.ip()))
}

fn unusable(name: &str, error: &io::Error) -> StartError {
    StartError::System(format!("the socket that was passed for {name} cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_name_and_without_one_by_their_order() {
        for (names, count, wanted) in [
            ("", 0, vec![]),
            ("", 1, vec![CLIENTS]),
            ("unknown", 1, vec![CLIENTS]),
            ("bifrostctl.socket:bifrostctl.socket", 2, vec![CLIENTS, ADMIN]),
            ("admin:clients", 2, vec![ADMIN, CLIENTS]),
            ("admin", 1, vec![ADMIN]),
            ("admin:bifrostctl.socket", 2, vec![ADMIN, CLIENTS]),
        ] {
            assert_eq!(roles(names, count), wanted, "{names} {count}");
        }
    }
}
