//! From files to a serving process: everything that may fail at the start, in order, before the first connection is accepted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::candidate::{self, Candidate, From};
use super::origin::{Origin, Texts};
use super::ready::{self, Ready, Upstream};
use super::renames;
use super::running::{Assembled, Running};
use super::sockets::Sockets;
use super::succession::{self, Claim, Program, SuccessionError};
use super::watched::Mentions;
use super::writer::{Provenance, blocking, new_revision};
use super::{books, codes, limits, watch};
use crate::base::Clock;
use crate::limit::budget::Ledger;
use crate::plan::{self, Plan};
use crate::provider::{Clients, Health, Proxies, Signers, SystemLookup};
use crate::server::{Acceptor, BindError, Listener};
use crate::spec::{Diagnostic, Environment, Rejected, Severity, Sources};
use crate::store::book::Book;
use crate::store::{Options as StoreOptions, Revisions, StoreError};
use crate::table::Services;
use crate::telemetry::{AccessLog, Metrics};

/// Most revisions that a start tries. A spec that twenty accepted ones cannot replace is a matter of the machine, not of the spec.
const MOST_TRIED: usize = 20;
/// Most of them that the error names; the log names all.
const MOST_TOLD: usize = 3;

/// What a bad spec at the start does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInvalid {
    /// Ends the start.
    #[default]
    Fail,
    /// Serves the newest revision of the state directory that can run.
    LastGood,
}

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The spec and its overlays, in order.
    pub paths: Vec<PathBuf>,
    /// Where variables are looked up.
    pub env: Arc<dyn Variables>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How files are watched.
    pub watch: watch::Options,
    /// What a bad spec at the start does.
    pub on_invalid: OnInvalid,
    /// Whether SIGHUP, SIGTERM and SIGINT of the process are this gateway's.
    pub signals: bool,
    /// Threads that clients' connections are spread over. Everything else runs on the caller's runtime.
    pub workers: usize,
    /// Whether it takes over from the gateway that has the state directory now. Then a bad spec ends the start, whatever else is said.
    pub take_over: bool,
    /// How this process was started, for a successor that is started the same way.
    pub program: Option<Program>,
}

/// An environment that threads share.
pub trait Variables: Environment + Send + Sync + std::fmt::Debug {}

impl<T: Environment + Send + Sync + std::fmt::Debug> Variables for T {}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The spec is wrong, or cannot run here.
    #[error("the spec was refused")]
    Invalid(Box<Rejected>),
    /// The spec is wrong, and there is no earlier revision that runs.
    #[error("the spec was refused, and there is no earlier revision to serve: {why}")]
    NoLastGood {
        /// What is wrong with the spec.
        rejected: Box<Rejected>,
        /// Why there is none.
        why: String,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listener cannot be made.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The running gateway does not hand over.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// The system gives no sockets, threads, randomness.
    #[error("the system refuses: {0}")]
    System(String),
}

/// Starts a gateway: loads, compiles, prepares, takes the state directory, listens. It serves when this returns.
///
/// Must be called on a tokio runtime with time and I/O.
///
/// # Errors
/// [`StartError`]; then nothing of it runs any more.
pub async fn start(options: Options) -> Result<Running, StartError> {
    start_on(Sockets::default(), options).await
}

/// As [`start`], on sockets that listen already; those that are missing are made.
///
/// # Errors
/// As [`start`].
pub async fn start_on(mut sockets: Sockets, options: Options) -> Result<Running, StartError> {
    let origin = Origin::new(&options.paths);
    let metrics = Metrics::new();
    let services = Services {
        clients: Arc::new(Clients::new(Proxies::from_env(&*options.env), Arc::new(SystemLookup))),
        health: Arc::new(Health::default()),
        signers: Arc::new(Signers::default()),
        ledger: Arc::new(Ledger::new(Arc::clone(&options.clock))),
        counters: Arc::default(),
        metrics: Arc::clone(&metrics),
        env: Arc::clone(&options.env) as Arc<dyn Environment + Send + Sync>,
        base_dir: origin.base().to_owned(),
        mock_url: None,
    };
    let mut begin = Begin { origin, services, upstream: Upstream::default(), clock: Arc::clone(&options.clock) };
    let (loaded, disk) = begin.load_disk().await;
    let (ready, store, rejected) = match loaded {
        Ok(ready) => (ready, None, None),
        Err(rejected) if options.on_invalid == OnInvalid::LastGood && !options.take_over => {
            match begin.last_good(&rejected, &options).await {
                Ok((ready, store)) => (ready, Some(store), Some(rejected)),
                Err(error) => return Err(error),
            }
        }
        Err(rejected) => return Err(StartError::Invalid(Box::new(rejected))),
    };
    let plan = Arc::clone(&ready.candidate.plan);
    let acceptor = begin.acceptor(&ready.candidate)?;
    let log = AccessLog::open(&plan.telemetry.access_log, metrics.access_log_dropped());
    let log =
        log.map_err(|error| cannot_run(&ready.candidate, "/telemetry/access_log", &format!("the access log cannot be opened: {error}")))?;
    let state = PathBuf::from(plan.gateway.state.directory());
    limits::share(&ready, &begin.services, &options.clock)?;
    let mut claim = match options.take_over {
        true => Some(claim(state.clone()).await?),
        false => None,
    };
    let store = match (store, claim.as_mut()) {
        (Some(store), _) => store,
        (None, None) => open_store(state, &options.clock, Revisions::open_with).await?,
        (None, Some(claim)) => {
            sockets = claim.sockets();
            let lock = claim.lock().ok_or_else(|| StartError::System("the running gateway has no lock".to_owned()))?;
            open_store(state, &options.clock, |state, options| Revisions::open_after(state, options, lock)).await?
        }
    };
    let book = books::open(&store, &ready, &begin.services, (&options.clock, claim.is_some())).await?;
    // An embedded book is read when the gateway before has written all; of one that gateways share, this is one more.
    let is_read_later = claim.is_some() && matches!(plan.gateway.state, plan::State::Directory(_));
    if !is_read_later {
        open_ledger(&begin.services.ledger, &book, &plan, options.clock.unix_ms()).await?;
    }
    let client = sockets.clients(&plan.gateway.listen).await?;
    let admin = admin_listener(&mut sockets, &plan.gateway.admin).await?;
    let ready = number(ready, Arc::clone(&store)).await?;
    let Begin { origin, services, upstream, clock: _ } = begin;
    let assembled = Assembled { origin, services, upstream, ready, rejected, disk, store, book, acceptor, log, client, admin, claim };
    super::running::run(assembled, options).await
}

/// The files that a load read, with what it mentions; kept for watching.
pub(super) struct OnDisk {
    pub(super) sources: Sources,
    pub(super) mentions: Mentions,
}

struct Begin {
    origin: Origin,
    services: Services,
    upstream: Upstream,
    clock: Arc<dyn Clock>,
}

impl Begin {
    /// Loads the files and makes them ready to serve.
    async fn load_disk(&mut self) -> (Result<Ready, Rejected>, OnDisk) {
        let read = self.read(From::Disk).await;
        let sources = match &read {
            Ok(candidate) => candidate.loaded.sources.clone(),
            Err(rejected) => rejected.sources.clone(),
        };
        let disk = OnDisk { mentions: Mentions::find(&sources, self.origin.base()), sources };
        match read {
            Ok(candidate) => (self.ready(candidate).await, disk),
            Err(rejected) => (Err(rejected), disk),
        }
    }

    async fn read(&self, from: From) -> Result<Candidate, Rejected> {
        let (origin, env, now) = (self.origin.clone(), Arc::clone(&self.services.env), self.clock.unix_ms());
        blocking(move || candidate::read(from, &origin, &*env, now)).await
    }

    async fn ready(&mut self, candidate: Candidate) -> Result<Ready, Rejected> {
        match self.upstream.url_for(&candidate.plan).await {
            Ok(url) => self.services.mock_url = url,
            Err(error) => tracing::error!(%error, "the built-in mock did not start"),
        }
        let services = self.services.clone();
        blocking(move || {
            // The access log is opened once, below; here it is as if it were open already.
            let log = candidate.plan.telemetry.access_log.clone();
            ready::prepare(candidate, &services, Some(&log))
        })
        .await
    }

    /// Takes the newest revision of the state directory that can run; logs why each newer one cannot.
    async fn last_good(&mut self, rejected: &Rejected, options: &Options) -> Result<(Ready, Arc<Revisions>), StartError> {
        let store = open_store(state_of(&rejected.sources), &options.clock, Revisions::open_with).await?;
        let numbers: Vec<u64> = store.list().iter().rev().map(|info| info.number).take(MOST_TRIED).collect();
        let mut refused = Vec::new();
        for number in numbers {
            match self.revision(&store, number).await {
                Ok(ready) => {
                    tracing::warn!(revision = number, "the spec was refused; this revision, which was accepted before, serves instead");
                    return Ok((ready, store));
                }
                Err(why) => {
                    tracing::warn!(revision = number, why, "this revision was accepted before, but cannot serve now");
                    refused.push(format!("revision {number}: {why}"));
                }
            }
        }
        let more = refused.len().saturating_sub(MOST_TOLD);
        refused.truncate(MOST_TOLD);
        let why = match (refused.is_empty(), more) {
            (true, _) => "the state directory holds none".to_owned(),
            (false, 0) => refused.join("; "),
            (false, more) => format!("{}; and {more} older ones, as the log says", refused.join("; ")),
        };
        Err(StartError::NoLastGood { rejected: Box::new(rejected.clone()), why })
    }

    /// Makes a kept revision ready to serve: under its own number, if it still means what it did.
    ///
    /// # Errors
    /// Why it cannot, in one line.
    async fn revision(&mut self, store: &Arc<Revisions>, number: u64) -> Result<Ready, String> {
        let reading = Arc::clone(store);
        let read = tokio::task::spawn_blocking(move || reading.get(number)).await.map_err(|error| error.to_string())?;
        let revision = read.map_err(|error| error.to_string())?.ok_or("it is gone")?;
        let read = self.read(From::Memory(Texts { files: revision.files, paths: revision.paths })).await;
        let ready = match read {
            Ok(candidate) => self.ready(candidate).await,
            Err(rejected) => Err(rejected),
        };
        let mut ready = ready.map_err(|rejected| {
            let first = rejected.diagnostics.iter().find(|found| found.severity == Severity::Error);
            first.map_or_else(String::new, |found| format!("{} [{}]", found.message, found.code))
        })?;
        if ready.candidate.digest == revision.info.digest {
            ready.table.revision = number;
        }
        Ok(ready)
    }

    fn acceptor(&self, candidate: &Candidate) -> Result<Option<Acceptor>, StartError> {
        let Some(tls) = &candidate.plan.gateway.tls else { return Ok(None) };
        let (certificate, key) = (self.origin.base().join(&tls.cert), self.origin.base().join(&tls.key));
        match Acceptor::from_pem_files(&certificate, &key) {
            Ok(acceptor) => Ok(Some(acceptor)),
            Err(error) => Err(cannot_run(candidate, "/gateway/tls", &error.to_string())),
        }
    }
}

pub(super) fn cannot_run(candidate: &Candidate, place: &str, message: &str) -> StartError {
    let loaded = &candidate.loaded;
    let diagnostic = Diagnostic::error(codes::CANNOT_RUN, message).at(loaded.spans.value(place)).pointer(place);
    StartError::Invalid(Box::new(Rejected { sources: loaded.sources.clone(), diagnostics: vec![diagnostic] }))
}

/// Gives the table its revision: its own if it was kept before, that of the newest one if it is the same plan, else the next.
async fn number(mut ready: Ready, store: Arc<Revisions>) -> Result<Ready, StartError> {
    if ready.table.revision > 0 {
        return Ok(ready);
    }
    let latest = store.latest_info();
    if let Some(latest) = latest.as_ref().filter(|latest| latest.digest == ready.candidate.digest) {
        ready.table.revision = latest.number;
        return Ok(ready);
    }
    let summary = match latest {
        None => "first revision".to_owned(),
        Some(latest) => format!("changed since revision {} while the gateway was down", latest.number),
    };
    let new = new_revision(&ready.candidate, &Provenance::files("start"), summary);
    let kept = tokio::task::spawn_blocking(move || store.append(new)).await.map_err(|error| StartError::System(error.to_string()))??;
    ready.table.revision = kept.info.number;
    Ok(ready)
}

/// Asks the gateway that has a state directory to hand over.
async fn claim(state: PathBuf) -> Result<Claim, StartError> {
    let claimed = tokio::task::spawn_blocking(move || succession::claim(&state)).await;
    Ok(claimed.map_err(|error| StartError::System(error.to_string()))??)
}

async fn open_store(
    state: PathBuf,
    clock: &Arc<dyn Clock>,
    open: impl FnOnce(PathBuf, StoreOptions) -> Result<Revisions, StoreError> + Send + 'static,
) -> Result<Arc<Revisions>, StartError> {
    let options = StoreOptions { clock: Arc::clone(clock), ..StoreOptions::default() };
    let opened = tokio::task::spawn_blocking(move || open(state, options)).await;
    let store = opened.map_err(|error| StartError::System(error.to_string()))??;
    for skipped in store.skipped() {
        tracing::warn!(path = %skipped.path.display(), why = skipped.why, "a file of the state directory is no readable revision");
    }
    Ok(Arc::new(store))
}

/// Tells the ledger what the book knows, under the names of this plan.
async fn open_ledger(ledger: &Arc<Ledger>, book: &Book, plan: &Arc<Plan>, now_ms: u64) -> Result<(), StartError> {
    let (ledger, book, plan) = (Arc::clone(ledger), book.clone(), Arc::clone(plan));
    let opened = tokio::task::spawn_blocking(move || {
        ledger.attach(book)?;
        renames::take_over(&ledger, &plan, now_ms)
    });
    let opened = opened.await.map_err(|error| StartError::System(error.to_string()))?;
    opened.map_err(|error| StartError::System(format!("what was spent cannot be read: {error}")))
}

/// Glances at a refused spec for its state directory: the last file that names one, as it is written there.
fn state_of(sources: &Sources) -> PathBuf {
    let named = sources.0.iter().rev().find_map(|source| {
        let value: serde_json::Value = serde_yaml::from_str(&source.text).ok()?;
        let state = value.pointer("/gateway/state")?;
        let directory = state.as_str().or_else(|| state.get("directory")?.as_str());
        directory.filter(|state| !state.contains("${")).map(PathBuf::from)
    });
    named.unwrap_or_else(|| PathBuf::from(".bifrost"))
}

async fn admin_listener(sockets: &mut Sockets, admin: &plan::Admin) -> Result<Listener, StartError> {
    if let Some(given) = sockets.admin(admin).await? {
        return Ok(given);
    }
    match admin {
        plan::Admin::Tcp { listen, .. } => Ok(Listener::tcp(listen).await?),
        plan::Admin::Unix(path) => {
            let path = Path::new(path);
            if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
                private(directory).map_err(|source| BindError::Io { place: directory.display().to_string(), source })?;
            }
            Ok(Listener::unix(path)?)
        }
    }
}

/// Makes a directory that only its owner may enter. One that exists is left as it is: it may be others' as well.
fn private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Returns how the admin API is reached.
pub(super) fn admin_address(plan: &Plan, admin: &Listener) -> String {
    match (&plan.gateway.admin, admin.local_addr()) {
        (plan::Admin::Unix(path), _) => format!("unix:{path}"),
        (plan::Admin::Tcp { .. }, Some(address)) => format!("http://{address}"),
        (plan::Admin::Tcp { listen, .. }, None) => format!("http://{listen}"),
    }
}
