//! The admin API: HTTP/1.1 with JSON, on a Unix socket or on TCP with tokens.
//!
//! It reads what the control plane knows and hands changes to the one writer; it changes nothing itself. Rule: an answer that is not a
//! success is `{"error": {"code", "message"}}`, whatever was asked.
//!
//! | method and path | scope | answers |
//! |---|---|---|
//! | `GET /livez`, `/readyz` | none | whether the process lives, whether it serves |
//! | `GET /metrics` | read | OpenMetrics |
//! | `GET /v1/status` | read | sync, health, revision, and what they rest on |
//! | `GET /v1/spec[?revision=N]` | read | text and plan, with the revision as `ETag` |
//! | `GET /v1/revisions` | read | what is known of each revision |
//! | `GET /v1/spend` | read | what was spent, by whom and on what |
//! | `GET /v1/budgets` | read | where each budget stands, what each account spent, and whether the book is written |
//! | `GET /v1/budgets/audit` | read | whether the balances are the sums of the lines |
//! | `POST /v1/budgets/reset` | apply | sets a budget back |
//! | `POST /v1/explain` | read | where a request would go now |
//! | `POST /v1/apply[?dry_run=true]` | apply | outcome, revision, diff |
//! | `POST /v1/rollback` | apply | as `apply` |
//! | `POST /v1/upgrade` | Unix socket alone | who has taken over |

mod answer;
mod budgets;
mod caller;
mod change;
mod explain;
mod query;
mod spend;
mod status;
mod upgrade;

use std::sync::Arc;

use http::{Method, Request, Response};
use tokio::sync::{mpsc, oneshot};

use self::answer::Answer;
use self::caller::Caller;
use super::apply::{Apply, Reply};
use super::probe;
use super::shared::Shared;
use crate::plan::Scope;
use crate::server::{Handler, Peer, RequestBody};

pub(super) use answer::Body;
pub(super) use budgets::spent;
pub(super) use status::targets;

/// Serves the admin API.
pub(super) struct Admin {
    /// What is known.
    pub(super) shared: Arc<Shared>,
    /// The writer's queue of one.
    pub(super) applies: mpsc::Sender<(Apply, oneshot::Sender<Reply>)>,
}

impl Handler for Admin {
    type Body = Body;

    async fn handle(&self, request: Request<RequestBody>, peer: Peer) -> Response<Body> {
        Box::pin(self.answer(request, peer)).await.unwrap_or_else(Answer::from).into_response()
    }
}

impl Admin {
    async fn answer(&self, request: Request<RequestBody>, peer: Peer) -> Result<Answer, Reply> {
        let (head, body) = request.into_parts();
        let get = matches!(head.method, Method::GET | Method::HEAD);
        if let Some(answer) = probe::answer(&self.shared, head.uri.path(), true) {
            return if get { Ok(answer.into()) } else { Err(wrong_method("GET")) };
        }
        let caller = Caller::find(&head.headers, peer, &self.shared.live.load().plan.gateway.admin)?;
        let query = head.uri.query().unwrap_or_default();
        if let Some(money) = Money::at(head.uri.path()) {
            return self.money(money, (&head.method, query), body, &caller).await;
        }
        match (head.uri.path(), get, head.method == Method::POST) {
            ("/metrics", true, _) => caller.may(Scope::Read).map(|()| Answer::metrics(self.shared.metrics.encode())),
            ("/v1/status", true, _) => caller.may(Scope::Read).map(|()| Answer::json(200, &status::status(&self.shared))),
            ("/v1/spec", true, _) => {
                caller.may(Scope::Read)?;
                status::spec(&self.shared, query).await
            }
            ("/v1/revisions", true, _) => caller.may(Scope::Read).map(|()| status::revisions(&self.shared)),
            ("/v1/explain", _, true) => {
                caller.may(Scope::Read)?;
                explain::explain(&self.shared, body).await
            }
            ("/v1/apply", _, true) => {
                caller.may(Scope::Apply)?;
                let apply = change::apply(&head.headers, query, body, &caller).await?;
                self.hand_over(apply).await
            }
            ("/v1/rollback", _, true) => {
                caller.may(Scope::Apply)?;
                let apply = change::rollback(&self.shared, &head.headers, query, body, &caller).await?;
                self.hand_over(apply).await
            }
            ("/v1/upgrade", _, true) => upgrade::upgrade(&self.shared, peer, body, &caller).await,
            ("/metrics" | "/v1/status" | "/v1/spec" | "/v1/revisions", ..) => Err(wrong_method("GET")),
            ("/v1/explain" | "/v1/apply" | "/v1/rollback" | "/v1/upgrade", ..) => Err(wrong_method("POST")),
            _ => Err(Reply::error(404, "unknown_path", "there is no such path in the admin API")),
        }
    }

    async fn money(&self, asked: Money, (method, query): (&Method, &str), body: RequestBody, caller: &Caller) -> Result<Answer, Reply> {
        match asked {
            Money::Spend | Money::Budgets | Money::Audit if !matches!(*method, Method::GET | Method::HEAD) => {
                return Err(wrong_method("GET"));
            }
            Money::Reset if *method != Method::POST => return Err(wrong_method("POST")),
            Money::Spend | Money::Budgets | Money::Audit => caller.may(Scope::Read)?,
            Money::Reset => caller.may(Scope::Apply)?,
        }
        match asked {
            Money::Spend => spend::spend(&self.shared, query).await,
            Money::Budgets => budgets::status(&self.shared, query).await,
            Money::Audit => budgets::audit(&self.shared).await,
            Money::Reset => budgets::reset(&self.shared, body, caller).await,
        }
    }

    /// Waits for the writer to do it.
    async fn hand_over(&self, apply: Apply) -> Result<Answer, Reply> {
        let gone = || Reply::error(503, "draining", "the gateway is ending and takes no changes");
        if self.shared.is_draining() {
            return Err(gone());
        }
        let (answer, reply) = oneshot::channel();
        self.applies.send((apply, answer)).await.map_err(|_| gone())?;
        reply.await.map(Answer::from).map_err(|_| gone())
    }
}

/// What the book is asked.
#[derive(Clone, Copy)]
enum Money {
    Spend,
    Budgets,
    Audit,
    Reset,
}

impl Money {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/spend" => Self::Spend,
            "/v1/budgets" => Self::Budgets,
            "/v1/budgets/audit" => Self::Audit,
            "/v1/budgets/reset" => Self::Reset,
            _ => return None,
        })
    }
}

fn wrong_method(right: &str) -> Reply {
    Reply::error(405, "method_not_allowed", format!("this path takes {right}"))
}
