//! The control plane: the process around the data plane, reload (the only writer of the running table), watch, admin API.
//!
//! It decides nothing about requests: it puts the data plane behind its listener, and after that meets it in [`crate::table::Live`] and
//! nowhere else. The data plane knows nothing of it. Rule: a spec that is refused,
//! for whatever reason, changes nothing of what runs.
//!
//! | file | is |
//! |---|---|
//! | `start`, `running`, `life` | from files to a serving process, its handle, its end |
//! | `succession` | another gateway takes over from this one, or this one from another |
//! | `sockets`, `service` | the service manager: sockets that it passes, and what it is told |
//! | `origin`, `candidate`, `materials`, `ready` | a spec on its way: where from, loaded, what it refers to, prepared |
//! | `writer`, `apply` | reload: triggers one at a time; what comes through the admin API |
//! | `files` | writing the spec's own files, all or none |
//! | `watch`, `watched` | noticing that files changed; which files |
//! | `shared`, `census`, `sources`, `probe` | what is known: for status, metrics and probes |
//! | `admin`, `front` | HTTP: the admin API, and what stands before the data plane |
//! | `codes` | stable codes of what only a running gateway can find out |

mod admin;
mod alerts;
mod apply;
mod books;
mod candidate;
mod census;
mod checks;
pub mod codes;
mod files;
mod front;
mod life;
mod limits;
mod materials;
mod memory;
mod origin;
mod probe;
mod ready;
mod renames;
mod retention;
mod running;
pub mod service;
mod shared;
mod signals;
mod sockets;
mod sources;
mod start;
mod succession;
pub mod watch;
mod watched;
mod writer;

pub(crate) use files::replace;
pub use life::Ended;
pub use memory::resident;
pub use running::Running;
pub use sockets::{Sockets, SocketsError};
pub use start::{OnInvalid, Options, StartError, Variables, start, start_on};
pub use succession::{Program, SuccessionError};
