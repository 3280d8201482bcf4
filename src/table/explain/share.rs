//! How often what is picked by chance or by turns is tried first.

use std::sync::Arc;

use super::told::CredentialTold;
use crate::base::glob;
use crate::plan::{Balance, TrafficShare};
use crate::provider::{Admit, CredentialState, Reason};
use crate::table::decide::is_failing;
use crate::table::order::{Dice, balanced};
use crate::table::{Ask, Candidate, Credential, Member, Stage, Target};

/// Where a candidate stands.
pub(super) struct Place {
    /// From 1: the alias's own targets, then each link of its chain.
    pub(super) stage: usize,
    /// How many of a hundred requests that reach the stage try this one first.
    pub(super) percent: u64,
}

/// Rolls that stand for all, where shares follow what is known of targets.
const ROLLS: u64 = 400;

/// Finds a candidate among the stages; one that no stage holds was named by the client itself.
pub(super) fn place(stages: &[Stage], candidate: &Candidate, candidates: &[Candidate], ask: Option<&Ask<'_>>) -> Place {
    let holds = |stage: &Stage, target: &Arc<Target>| stage.targets.iter().any(|held| Arc::ptr_eq(&held.target, target));
    let Some((index, stage)) = stages.iter().enumerate().find(|(_, stage)| holds(stage, &candidate.target)) else {
        return Place { stage: 1, percent: 100 };
    };
    let same_class = |other: &&Candidate| (other.standing == candidate.standing) || !is_last_resort(candidate) && !is_last_resort(other);
    let admitted = |target: &Arc<Target>| candidates.iter().filter(same_class).any(|other| Arc::ptr_eq(&other.target, target));
    let percent = match ask.filter(|ask| ask.session.is_some() && stage.targets.len() > 1) {
        // A session has its own order.
        Some(_) => {
            let first = candidates.iter().filter(same_class).find(|other| holds(stage, &other.target));
            if first.is_some_and(|first| Arc::ptr_eq(&first.target, &candidate.target)) { 100 } else { 0 }
        }
        None => of_all(stage, admitted, &candidate.target, ask),
    };
    Place { stage: index + 1, percent }
}

/// What of all requests that reach a stage tries a target first.
fn of_all(stage: &Stage, admitted: impl Fn(&Arc<Target>) -> bool, one: &Arc<Target>, ask: Option<&Ask<'_>>) -> u64 {
    let points = |member: &Member| member.share.map_or(0, |share| u64::from(share.basis_points()));
    let all = u64::from(TrafficShare::ALL);
    let there = || stage.targets.iter().filter(|member| admitted(&member.target));
    let fixed: u64 = there().map(points).sum();
    let own = there().filter(|member| Arc::ptr_eq(&member.target, one)).map(points).sum::<u64>();
    if own > 0 {
        let is_alone = there().all(|member| member.share.is_some());
        let whole = if is_alone { fixed.max(1) } else { all };
        return (own * 100 + whole / 2) / whole;
    }
    let balanced: Vec<(&Arc<Target>, u32)> =
        stage.targets.iter().filter(|member| member.share.is_none()).map(|member| (&member.target, member.weight)).collect();
    let percent = match (stage.balance, ask) {
        (Balance::RoundRobin, _) => by_turns(&balanced, admitted, one),
        (Balance::LeastBusy | Balance::Fastest | Balance::Cheapest | Balance::Adaptive, Some(ask)) => drawn(stage, admitted, one, ask),
        (Balance::Weighted | Balance::LeastBusy | Balance::Fastest | Balance::Cheapest | Balance::Adaptive, _) => {
            weighted(balanced.iter().copied().filter(|(target, _)| admitted(target)), one)
        }
    };
    (percent * (all - fixed.min(all)) + all / 2) / all
}

/// Draws many times.
fn drawn(stage: &Stage, admitted: impl Fn(&Arc<Target>) -> bool, one: &Arc<Target>, ask: &Ask<'_>) -> u64 {
    let first = |roll: u64| {
        let order = balanced(stage, ask, &mut Dice(roll));
        order.into_iter().find(|target| admitted(target)).is_some_and(|target| Arc::ptr_eq(target, one))
    };
    let own = (0..ROLLS).filter(|roll| first(*roll)).count() as u64;
    (own * 100 + ROLLS / 2) / ROLLS
}

fn is_last_resort(candidate: &Candidate) -> bool {
    candidate.standing == crate::table::Standing::LastResort
}

/// Drawing without putting back: leaving some out does not change the odds among the others. Without any weight, the first one is drawn.
fn weighted<'t, T>(members: impl Iterator<Item = (&'t Arc<T>, u32)> + Clone, one: &Arc<T>) -> u64
where
    T: 't,
{
    let total: u64 = members.clone().map(|(_, weight)| u64::from(weight)).sum();
    if total == 0 {
        return if members.clone().next().is_some_and(|(first, _)| Arc::ptr_eq(first, one)) { 100 } else { 0 };
    }
    let own = members.filter(|(member, _)| Arc::ptr_eq(member, one)).map(|(_, weight)| u64::from(weight)).sum::<u64>();
    (own * 100 + total / 2) / total
}

/// Plays one round of turns: who is left out gives its turn to the next in line.
fn by_turns(members: &[(&Arc<Target>, u32)], admitted: impl Fn(&Arc<Target>) -> bool, one: &Arc<Target>) -> u64 {
    let targets: Vec<&Arc<Target>> = members.iter().map(|(target, _)| *target).collect();
    let count = targets.len() as u64;
    let first = |turn: usize| targets.iter().cycle().skip(turn).take(targets.len()).find(|target| admitted(target));
    let own = (0..targets.len()).filter(|turn| first(*turn).is_some_and(|target| Arc::ptr_eq(target, one))).count() as u64;
    (own * 100 + count / 2).checked_div(count).unwrap_or(0)
}

/// Lists the credentials of a candidate in the order of this roll, with their shares.
pub(super) fn credentials(candidate: &Candidate, is_session: bool, now_ms: u64) -> Vec<CredentialTold> {
    // In the order of the spec, which is what is drawn from.
    let known = &candidate.target.provider.credentials;
    let ready = known.iter().filter(|known| candidate.credentials.iter().any(|it| Arc::ptr_eq(it, known)));
    let well: Vec<_> = ready.clone().filter(|credential| !is_failing(credential, now_ms)).collect();
    let members: Vec<_> = if well.is_empty() { ready.collect() } else { well };
    let members = members.into_iter().map(|credential| (credential, credential.weight));
    let share = |place: usize, credential: &Arc<Credential>| match is_session {
        true => u64::from(place == 0) * 100,
        false => weighted(members.clone(), credential),
    };
    let told = candidate.credentials.iter().enumerate().map(|(place, credential)| CredentialTold {
        name: credential.name.clone(),
        share_percent: Some(share(place, credential)),
        concurrency: candidate.target.places(&credential.name).map(|(places, _)| places.snapshot(now_ms)),
        reason: None,
        wait_ms: None,
    });
    told.collect()
}

/// Lists the credentials of a target's provider that are not among `used`, with what keeps each out.
pub(super) fn left_out(target: &Target, used: &[Arc<Credential>], now_ms: u64) -> Vec<CredentialTold> {
    let told = |name: &str, reason: &str, wait_ms: Option<u64>| CredentialTold {
        name: name.to_owned(),
        share_percent: None,
        concurrency: None,
        reason: Some(reason.to_owned()),
        wait_ms,
    };
    let unused = target.provider.credentials.iter().filter(|known| !used.iter().any(|it| Arc::ptr_eq(it, known)));
    let mut all: Vec<CredentialTold> = unused
        .map(|credential| {
            let left = |until_ms: u64| until_ms.saturating_sub(now_ms);
            if !glob::any(&credential.models, &target.model) {
                return told(&credential.name, "not for this model", None);
            }
            match credential.health.state(&target.model, now_ms) {
                CredentialState::Ready => match credential.health.breaker.admits(now_ms) {
                    Admit::No { until_ms } => told(&credential.name, "its requests failed again and again", Some(left(until_ms))),
                    Admit::Yes | Admit::Probe => told(&credential.name, "ready", None),
                },
                CredentialState::Cooling { until_ms, reason } => told(&credential.name, words(reason), Some(left(until_ms))),
                CredentialState::Out { until_ms, reason } => told(&credential.name, words(reason), until_ms.map(left)),
            }
        })
        .collect();
    all.extend(target.provider.absent.iter().map(|(name, reason)| told(name, fact(reason), None)));
    all
}

/// Returns what is so, without what could be done about it: an optional credential may be absent.
pub(super) fn fact(reason: &str) -> &str {
    reason.split_once("; ").map_or(reason, |(fact, _)| fact)
}

const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::RateLimit => "cools down after a 429",
        Reason::Forbidden => "the provider refused it for this model",
        Reason::Quota => "its account has no money left",
        Reason::Auth => "the provider refused it",
    }
}
