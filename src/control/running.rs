//! A gateway that was started: puts the parts together, and is the handle on it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch as signal};

use super::admin::Admin;
use super::census::Census;
use super::front::Front;
use super::life::{Ended, LAST_WORDS, Life};
use super::origin::Origin;
use super::ready::{Ready, Upstream};
use super::shared::{Current, Record, Shared};
use super::signals::{self, Signals};
use super::sources;
use super::start::{OnDisk, Options, StartError, admin_address};
use super::succession::{Claim, Host, Parts, Pause, SuccessionError};
use super::watch;
use super::watched::watch_set;
use super::writer::{Outcome, Refusal, Triggers, Writer};
use super::{alerts, checks, memory, renames, retention};
use crate::pipeline::{Affinity, Ending, Gateway};
use crate::plan;
use crate::server::{Acceptor, Config, Drained, Listener, Server, Stop, Workers};
use crate::spec::Rejected;
use crate::store::Revisions;
use crate::store::book::Book;
use crate::table::explain::{Explanation, Moment, Question, Unanswerable, explain};
use crate::table::{Live, RoutingTable, Services};
use crate::telemetry::{AccessLog, RequestIds};

/// Most admin connections. Whoever polls status and metrics needs few.
const ADMIN_CONNECTIONS: usize = 64;

/// Everything that a start has made.
pub(super) struct Assembled {
    pub(super) origin: Origin,
    pub(super) services: Services,
    pub(super) upstream: Upstream,
    pub(super) ready: Ready,
    /// What was wrong with the files, where an earlier revision serves instead.
    pub(super) rejected: Option<Rejected>,
    pub(super) disk: OnDisk,
    pub(super) store: Arc<Revisions>,
    pub(super) book: Book,
    pub(super) acceptor: Option<Acceptor>,
    pub(super) log: AccessLog,
    pub(super) client: Listener,
    pub(super) admin: Listener,
    /// What the gateway before is about to hand over.
    pub(super) claim: Option<Claim>,
}

/// A running gateway. Dropping it cuts everything; [`Running::drain`] and [`Running::ended`] end it in order.
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<signal::Sender<Stop>>,
    hang_up: Arc<Notify>,
    task: Option<tokio::task::JoinHandle<Ended>>,
}

impl Running {
    /// Returns the address that clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how the admin API is reached: `unix:PATH` or `http://HOST:PORT`.
    pub fn admin(&self) -> &str {
        &self.shared.admin
    }

    /// Returns the running table.
    pub fn table(&self) -> Arc<RoutingTable> {
        self.shared.live.load()
    }

    /// Returns the running revision.
    pub fn revision(&self) -> u64 {
        self.shared.live.revision()
    }

    /// Returns whether the files are what runs.
    pub fn is_in_step(&self) -> bool {
        !self.shared.record(|record| record.out_of_step)
    }

    /// Returns the text of what runs, by file.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.shared.current().texts.files.clone()
    }

    /// Says where a request would go now.
    ///
    /// # Errors
    /// A question that cannot be answered.
    pub fn explain(&self, question: &Question) -> Result<Explanation, Unanswerable> {
        let at = Moment { unix_ms: self.shared.clock.unix_ms(), now_ms: self.shared.clock.monotonic_ms(), roll: 0 };
        explain(&self.table(), question, at)
    }

    /// Reloads the files and opens the access log anew, as SIGHUP does. Does not wait.
    pub fn hang_up(&self) {
        self.hang_up.notify_one();
    }

    /// Ends the gateway in order: requests finish within the spec's `drain`. Called again, it cuts them. Does not wait.
    pub fn drain(&self) {
        signals::end(&self.stop);
    }

    /// Waits until the gateway has ended.
    pub async fn ended(mut self) -> Ended {
        let failed = Ended { drained: Drained { finished: 0, aborted: 0 }, failed: true };
        match &mut self.task {
            // Not taken out: whoever stops waiting cuts everything.
            Some(task) => task.await.unwrap_or(failed),
            None => failed,
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Puts the parts together and spawns them. The gateway serves when this returns.
pub(super) async fn run(assembled: Assembled, options: Options) -> Result<Running, StartError> {
    let Assembled { origin, services, upstream, ready, rejected, disk, store, book, acceptor, log, client, mut admin, claim } = assembled;
    let address = client.local_addr().ok_or_else(|| StartError::System("the listener has no address".to_owned()))?;
    let addresses = (address.to_string(), admin_address(&ready.candidate.plan, &admin));
    let connections = ready.candidate.plan.gateway.limits.connections;
    let shared = share((origin, store, book), &services, ready, addresses, &options);
    let stop = Arc::new(signal::Sender::new(Stop::Run));
    let hang_up = Arc::new(Notify::new());
    let ending = Arc::new(Ending::default());
    let mut life = Life::new(Arc::clone(&shared), (log.clone(), Arc::clone(&ending)), Arc::clone(&stop));

    let (noticed, files) = mpsc::channel(1);
    let set = watch_set(&shared.origin, &disk.sources, &disk.mentions, Some(&shared.current().materials));
    // It is set here and nowhere else.
    let _ = shared.watcher.set(watch::spawn(set, options.watch, noticed));
    let (applies, applied) = mpsc::channel(1);
    let gateway = gateway(&shared, services.clone(), (log.clone(), ending))?;
    let tls = acceptor.clone();
    let counters = Arc::clone(&services.counters);
    let (heard, alerts) = alerts::listen(&services.ledger);
    tokio::spawn(alerts::deliver(alerts, Arc::downgrade(&shared), services.clone()));
    tokio::spawn(retention::run(Arc::downgrade(&shared)));
    tokio::spawn(checks::run(Arc::downgrade(&shared)));
    tokio::spawn(memory::run(Arc::downgrade(&shared), Arc::clone(&services.counters)));
    let writer = Writer {
        shared: Arc::clone(&shared),
        services,
        acceptor,
        log,
        upstream,
        mentions: disk.mentions,
        quiet: options.watch.quiet,
        seen: None,
    };
    let first = rejected.map_or(Ok(Outcome::Unchanged), |rejected| Err(Refusal::Invalid(rejected)));
    writer.settle("start", shared.clock.monotonic_ms(), first);

    // The grace is the spec's at the time, so it is kept outside the server.
    let config = Config { max_connections: connections as usize, grace: Duration::MAX, tls, ..Config::default() };
    let workers = Workers::start(options.workers).map_err(|error| StartError::System(error.to_string()))?;
    let front = Server::new(config, Front { gateway, shared: Arc::clone(&shared) }).on(workers);
    let config = Config { max_connections: ADMIN_CONNECTIONS, grace: LAST_WORDS, ..Config::default() };
    let back = Server::new(config, Admin { shared: Arc::clone(&shared), applies });
    sources::register(&shared, front.stats(), back.stats(), counters);
    shared.metrics.add_source(move |samples| heard.sample(samples));
    if options.signals {
        life.listen(Signals::new(&hang_up, &stop).map_err(|error| StartError::System(error.to_string()))?);
    }
    let (pauses, paused) = mpsc::channel(1);
    let host = follow(claim, &shared, (&client, &mut admin), (pauses, &stop)).await?;
    // Nothing fails from here on.
    life.write(writer, Triggers { files, hang_up: Arc::clone(&hang_up), applies: applied, pauses: paused, stop: stop.subscribe() });
    if let Some(host) = host {
        life.host(host);
    }
    life.serve_admin(back, admin);
    life.serve_clients(front, client);
    tracing::info!(%address, admin = shared.admin, revision = shared.live.revision(), "the gateway serves");
    Ok(Running { address, shared, stop, hang_up, task: Some(tokio::spawn(life.live())) })
}

fn descriptor(listener: &Listener) -> Result<OwnedFd, StartError> {
    listener.descriptor().map_err(|error| StartError::System(error.to_string()))
}

/// Gets ready to be followed, and follows the gateway before where there is one. Nothing that comes after may fail.
async fn follow(
    mut claim: Option<Claim>,
    shared: &Arc<Shared>,
    (client, admin): (&Listener, &mut Listener),
    (pauses, stop): (mpsc::Sender<Pause>, &Arc<signal::Sender<Stop>>),
) -> Result<Option<Host>, StartError> {
    let plan = Arc::clone(&shared.current().plan);
    let file = match &plan.gateway.admin {
        plan::Admin::Unix(path) => Some(Path::new(path)),
        plan::Admin::Tcp { .. } => None,
    };
    let admin_file = file.and_then(|file| file.canonicalize().ok());
    let parts = Parts { clients: descriptor(client)?, admin: descriptor(admin)?, admin_file };
    let mut host = Host::new(claim.as_mut().and_then(Claim::next), parts, shared, pauses, stop);
    let Some(claim) = claim else { return Ok(host) };
    take_over(claim, shared).await?;
    // The files of sockets go with this process from here on.
    if let Some(file) = file {
        admin.own(file);
    }
    if let Some(host) = &mut host {
        host.own();
    }
    Ok(host)
}

/// Takes over from the gateway before, and answers for its requests from then on.
async fn take_over(claim: Claim, shared: &Arc<Shared>) -> Result<(), StartError> {
    let known = Arc::clone(shared);
    let taken = tokio::task::spawn_blocking(move || {
        let is_shared = matches!(known.current().plan.gateway.state, plan::State::Shared(_));
        let estate = claim.take_over(&known.ledger, (&known.book, is_shared), known.live.revision())?;
        // What has a new name since is charged under it before anybody is let in.
        let (plan, now_ms) = (Arc::clone(&known.current().plan), known.clock.unix_ms());
        if let Err(error) = renames::take_over(&known.ledger, &plan, now_ms) {
            tracing::error!(%error, "what was spent under old names cannot be taken over now; the next reload tries again");
        }
        Ok::<_, SuccessionError>(estate)
    });
    let estate = taken.await.map_err(|error| StartError::System(error.to_string()))??;
    if let Some(estate) = estate
        && let Err(error) = estate.answer(&shared.answering, Arc::clone(&shared.clock))
    {
        tracing::error!(%error, "nobody can answer for the requests of the gateway before; what they hold stays held");
    }
    Ok(())
}

fn share(
    (origin, store, book): (Origin, Arc<Revisions>, Book),
    services: &Services,
    ready: Ready,
    (listen, admin): (String, String),
    options: &Options,
) -> Arc<Shared> {
    let Ready { candidate, table, .. } = ready;
    let live = Arc::new(Live::new(table));
    let (digest, revision) = (candidate.digest, live.revision());
    let current = Current { revision, digest, plan: candidate.plan, texts: candidate.texts, materials: candidate.materials };
    let shared = Arc::new(Shared {
        metrics: Arc::clone(&services.metrics),
        store,
        book,
        ledger: Arc::clone(&services.ledger),
        origin,
        census: Census::default(),
        watcher: OnceLock::new(),
        draining: AtomicBool::new(false),
        handed: signal::Sender::new(None),
        remote: OnceLock::new(),
        answering: Arc::default(),
        program: options.program.clone(),
        listen,
        admin,
        started: (options.clock.unix_ms(), options.clock.monotonic_ms()),
        clock: Arc::clone(&options.clock),
        current: Mutex::new(Arc::new(current)),
        record: Mutex::new(Record::default()),
        live,
    });
    shared.census.add(&shared.live.load());
    shared.metrics.config().running(&digest.to_string(), revision);
    shared
}

fn gateway(shared: &Shared, services: Services, (log, ending): (AccessLog, Arc<Ending>)) -> Result<Gateway, StartError> {
    let random = |error: getrandom::Error| StartError::System(error.to_string());
    Ok(Gateway {
        affinity: Affinity::default(),
        live: Arc::clone(&shared.live),
        services,
        clock: Arc::clone(&shared.clock),
        log,
        ids: RequestIds::random().map_err(random)?,
        seed: AtomicU64::new(getrandom::u64().map_err(random)?),
        ending,
    })
}
