//! The listener, and the handle through which tests script the mock and read what it was asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::connection::{self, Shared};
use super::record::{Recorded, Records};
use super::script::Playing;
use super::{Ending, Script};

/// How a mock is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The first script.
    pub script: Script,
    /// How many requests it remembers, the newest ones.
    pub records: usize,
    /// How many bytes of requests it remembers.
    pub record_bytes: usize,
    /// Changes ids.
    pub seed: u64,
    /// `created` of every answer in seconds since the Unix epoch; the real time without it.
    pub created: Option<u64>,
    /// What `/models` lists. Any other model is answered all the same.
    pub models: Vec<String>,
}

impl Default for Config {
    /// For tests: a free port, everything is remembered, fixed time.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            script: Script::default(),
            records: usize::MAX,
            record_bytes: usize::MAX,
            seed: 0,
            created: Some(1_700_000_000),
            models: ["mock-small", "mock-large", "mock-embedding"].map(str::to_owned).into(),
        }
    }
}

impl Config {
    /// For a mock that runs long, as a provider or a command: the last 100 requests within 16 MiB, real time.
    #[must_use]
    pub fn long_running() -> Self {
        Self { records: 100, record_bytes: 16 << 20, created: None, ..Self::default() }
    }
}

impl From<Config> for Shared {
    fn from(config: Config) -> Self {
        Self {
            records: Arc::new(Records::new(config.records, config.record_bytes)),
            script: Playing::from(config.script).into(),
            seed: config.seed,
            created: config.created,
            models: config.models,
        }
    }
}

/// A mock without a listener: whoever is in this process connects to it. Where it listens is of no account.
#[derive(Debug)]
pub struct LocalMock(Arc<Shared>);

impl LocalMock {
    /// Sets it up.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Shared::from(config)))
    }

    /// Opens a connection, which a task serves to its end. In a runtime only.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        tokio::spawn(connection::serve(Arc::clone(&self.0), theirs, (0, peer)));
        ours
    }

    /// Returns what it was asked, oldest first, as far as it remembers.
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.records.all()
    }
}

/// Bytes that wait in a pipe.
const PIPE: usize = 64 << 10;

/// A running mock; dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct Mock {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Owns the listener and, through its `JoinSet`, every connection.
    task: JoinHandle<()>,
}

impl Mock {
    /// Starts a mock.
    ///
    /// # Errors
    /// Whatever the listening socket says.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::from(config));
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, task })
    }

    /// Returns where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the base URL for OpenAI clients: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Replaces the script; its counters start anew.
    pub fn script(&self, script: Script) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Playing::from(script);
    }

    /// Returns what it was asked, oldest first, as far as it remembers. Copies; bodies are shared.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.records.all()
    }

    /// Returns how many requests arrived since the start.
    pub fn arrived(&self) -> u64 {
        self.shared.records.arrived()
    }

    /// Forgets what it was asked; request numbers go on.
    pub fn clear(&self) {
        self.shared.records.clear();
    }

    /// Waits until the records are as wanted, and returns them. `is_met` runs under the mock's lock: it only looks. Waits for ever if that never happens: give it a deadline.
    pub async fn wait_for(&self, is_met: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        self.shared.records.wait(is_met).await
    }

    /// Waits until at least `count` remembered exchanges have ended, and returns all records. Waits without deadline.
    pub async fn wait_ended(&self, count: usize) -> Vec<Recorded> {
        self.wait_for(|records| records.iter().filter(|record| record.ending != Ending::Running).count() >= count).await
    }

    /// Stops: closes the listener and all connections, and waits until they are closed. Records stay readable.
    pub async fn stop(&mut self) {
        self.task.abort();
        // Aborted or panicked: either way it has ended.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    number += 1;
                    // Without it, an event waits for the acknowledgement of the one before. A socket that refuses is merely slower.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection::serve(Arc::clone(&shared), stream, (number, peer)));
                }
                // Out of file descriptors, as a rule: wait until some are free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
