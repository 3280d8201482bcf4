//! The order in which the targets of one stage are tried. Pure: what is known of them, time and chance are arguments.
//!
//! Rule: every order holds every target once. What may not be tried is left out by whoever asks.

use std::sync::Arc;

use super::decide::Ask;
use super::entry::{Member, Stage, Target};
use crate::base::Usd;
use crate::plan::{Balance, TrafficShare};
use crate::provider::Answered;
use crate::wire::ir::{Tier, Usage};

/// Output tokens that a price is reckoned with, where a request does not bound its answer lower itself.
const LIKELY_OUTPUT: u64 = 1_000;
/// The least that is left of a weight, so that whoever was bad is tried now and then.
const LEAST: f64 = 0.02;
/// What a weight of 1 is before it is made smaller.
const SCALE: f64 = 1_000.0;
/// What a target counts as that runs requests and has never answered: long, so that not all are sent there at once.
const UNKNOWN_US: u64 = 5_000_000;

/// From this share of failures on, whoever never answered is not taken for one that nobody has asked.
const UNKNOWN_FAILURES: f64 = 0.05;
/// How much longer a request waits at somebody who only fails.
const VAIN: f64 = 9.0;

/// How long a request is, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Of the prompt, by our own estimate.
    pub input: u64,
    /// The most of the answer that the request asks for, where it says it.
    pub max_output: Option<u64>,
}

/// Orders the targets of a stage.
pub(super) fn order<'s>(stage: &'s Stage, ask: &Ask<'_>, dice: &mut Dice) -> Vec<&'s Arc<Target>> {
    if let Some(session) = ask.session.filter(|_| stage.targets.len() > 1) {
        return of_session(stage, session);
    }
    let is_plain = stage.targets.iter().all(|member| member.share.is_none());
    if is_plain {
        return balanced(stage, ask, dice);
    }
    let point = u16::try_from(dice.next() % u64::from(TrafficShare::ALL)).unwrap_or(0);
    let first = shared(stage, point);
    let mut order: Vec<_> = first.into_iter().collect();
    order.extend(balanced(stage, ask, dice));
    // Then those with a share, when all others fail.
    let canaries = stage.targets.iter().filter_map(|member| Some((&member.target, u32::from(member.share?.basis_points()))));
    order.extend(dice.shuffle(canaries.collect()).into_iter().filter(|target| !first.is_some_and(|first| Arc::ptr_eq(first, target))));
    order
}

/// Finds the target whose share a point of the traffic falls into.
fn shared(stage: &Stage, point: u16) -> Option<&Arc<Target>> {
    let mut end = 0_u16;
    stage.targets.iter().find_map(|member| {
        end = end.saturating_add(member.share?.basis_points());
        (point < end).then_some(&member.target)
    })
}

/// Orders those without a share.
pub(super) fn balanced<'s>(stage: &'s Stage, ask: &Ask<'_>, dice: &mut Dice) -> Vec<&'s Arc<Target>> {
    let members: Vec<(&Arc<Target>, u32)> =
        stage.targets.iter().filter(|member| member.share.is_none()).map(|member| (&member.target, member.weight)).collect();
    match stage.balance {
        Balance::Weighted => dice.shuffle(members),
        Balance::RoundRobin => {
            let mut targets: Vec<_> = members.into_iter().map(|(target, _)| target).collect();
            let count = targets.len().max(1) as u64;
            targets.rotate_left(usize::try_from(ask.turn % count).unwrap_or(0));
            targets
        }
        Balance::LeastBusy => by(dice.shuffle_kept(members), busy),
        Balance::Cheapest => by(dice.shuffle_kept(members), |target, _| price(target, ask)),
        Balance::Fastest => two_choices(members, dice, |target| wait(target, ask)),
        Balance::Adaptive => dice.shuffle(adapted(members, ask)),
    }
}

/// Sorts by a cost; of equals, whoever was drawn first. Weight 0 stays last.
fn by<C: Ord>(members: Vec<(&Arc<Target>, u32)>, cost: impl Fn(&Target, u32) -> C) -> Vec<&Arc<Target>> {
    let mut members: Vec<_> = members.into_iter().map(|(target, weight)| ((weight == 0, cost(target, weight)), target)).collect();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    members.into_iter().map(|(_, target)| target).collect()
}

/// Requests that would run for each unit of weight, in thousandths.
fn busy(target: &Target, weight: u32) -> u64 {
    let running = u64::from(target.health.load.in_flight()) + 1;
    running * 1_000 / u64::from(weight.max(1))
}

/// What the request is likely to cost; whoever has no price is dearer than all others.
fn price(target: &Target, ask: &Ask<'_>) -> (bool, Usd) {
    let usage =
        Usage { input: ask.size.input.max(1), output: ask.size.max_output.unwrap_or(LIKELY_OUTPUT).min(LIKELY_OUTPUT), ..Usage::default() };
    match target.price.as_deref().and_then(|price| price.at(ask.unix_ms)) {
        Some(card) => (false, card.cost(&usage, Tier::default())),
        None => (true, Usd::ZERO),
    }
}

fn answered(ask: &Ask<'_>) -> Answered {
    if ask.stream { Answered::Streamed } else { Answered::Whole }
}

/// How long the request is likely to wait, in microseconds: the time of late, for each that is there already and itself, and longer the more
/// often it would be in vain.
fn wait(target: &Target, ask: &Ask<'_>) -> u64 {
    let load = &target.health.load;
    let running = u64::from(load.in_flight());
    let failures = load.failure_share(ask.now_ms);
    let time = match load.latency_us(answered(ask), ask.now_ms) {
        Some(time) => time.saturating_mul(running + 1),
        // Whoever is not known is tried, by one at first; a quick error is no news of that kind.
        None if running == 0 && failures < UNKNOWN_FAILURES => return 0,
        None => UNKNOWN_US.saturating_mul(running + 1),
    };
    longer(time, 1.0 + failures * VAIN)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a time, made some times longer")]
const fn longer(time: u64, by: f64) -> u64 {
    (time as f64 * by) as u64
}

/// Draws two by weight and takes the better one, again and again. Weight 0 stays last.
fn two_choices<'s>(members: Vec<(&'s Arc<Target>, u32)>, dice: &mut Dice, cost: impl Fn(&Target) -> u64) -> Vec<&'s Arc<Target>> {
    let costs = |target: &'s Arc<Target>| (target, cost(target));
    let mut left: Vec<_> = dice.shuffle_kept(members).into_iter().map(|(target, weight)| (costs(target), weight)).collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let second_is_better = match left.as_slice() {
            [((_, first), one), ((_, second), other), ..] => second < first && (*other > 0 || *one == 0),
            _ => false,
        };
        let ((target, _), _) = left.remove(usize::from(second_is_better));
        order.push(target);
        // The one that lost is drawn anew.
        left = dice.shuffle_kept(left);
    }
    order
}

/// Makes weights smaller that have failures, long times or many requests.
fn adapted<'s>(members: Vec<(&'s Arc<Target>, u32)>, ask: &Ask<'_>) -> Vec<(&'s Arc<Target>, u32)> {
    let time = |target: &Target| target.health.load.latency_us(answered(ask), ask.now_ms).map(|time| time.max(1));
    let quickest = members.iter().filter(|(_, weight)| *weight > 0).filter_map(|(target, _)| time(target)).min();
    let idlest = members.iter().filter(|(_, weight)| *weight > 0).map(|(target, weight)| busy(target, *weight)).min().unwrap_or(1);
    let adapt = |(target, weight): (&'s Arc<Target>, u32)| {
        let good = (1.0 - target.health.load.failure_share(ask.now_ms)).powi(3);
        let quick = match (quickest, time(target)) {
            (Some(quickest), Some(time)) => ratio(quickest, time),
            // Whoever is not known is as good as the best.
            (None | Some(_), None) | (None, Some(_)) => 1.0,
        };
        let idle = ratio(idlest, busy(target, weight)).max(0.1);
        (target, scaled(weight, (good * quick * idle).clamp(LEAST, 1.0)))
    };
    members.into_iter().map(adapt).collect()
}

#[expect(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a weight of up to a million, made a thousand times larger")]
fn scaled(weight: u32, by: f64) -> u32 {
    (f64::from(weight) * SCALE * by).round() as u32
}

/// The order of a session: the same for all its requests, and of all sessions together each target comes first as often as its share or weight
/// says. Whoever joins or leaves moves only the sessions that were or will be its own (weighted rendezvous).
fn of_session(stage: &Stage, session: u64) -> Vec<&Arc<Target>> {
    let weight = |member: &Member| if stage.balance == Balance::RoundRobin { 1.0 } else { f64::from(member.weight) };
    let shares: u32 = stage.targets.iter().filter_map(|member| member.share).map(|share| u32::from(share.basis_points())).sum();
    let weights: f64 = stage.targets.iter().filter(|member| member.share.is_none()).map(weight).sum();
    let rest = f64::from(u32::from(TrafficShare::ALL).saturating_sub(shares));
    let mut drawn: Vec<((u8, f64), &Arc<Target>)> = stage
        .targets
        .iter()
        .map(|member| {
            let (class, part) = match member.share {
                Some(share) => (0, f64::from(share.basis_points())),
                // Those behind others stand in the order of the spec, as without a session.
                None if weight(member) <= 0.0 => (2, 0.0),
                None if rest <= 0.0 => (1, weight(member)),
                None => (0, weight(member) * rest / weights.max(1.0)),
            };
            ((class, if class == 2 { 0.0 } else { draw(session, &member.target, part) }), &member.target)
        })
        .collect();
    drawn.sort_by(|((a, first), _), ((b, second), _)| a.cmp(b).then(first.total_cmp(second)));
    drawn.into_iter().map(|(_, target)| target).collect()
}

/// Draws when a target's turn would come, if it came by chance and the more often the larger its part.
fn draw(session: u64, target: &Target, part: f64) -> f64 {
    -uniform(mixed(session ^ name_hash(&target.provider.name, &target.model))).ln() / part
}

/// Orders what a session keeps to within a target: its credentials, by what hashes their names.
pub(super) fn kept<T>(mut items: Vec<(T, u32)>, session: u64, name: impl Fn(&T) -> u64) -> Vec<T> {
    let turn = |(item, weight): &(T, u32)| match *weight {
        0 => f64::INFINITY,
        weight => -uniform(mixed(session ^ name(item))).ln() / f64::from(weight),
    };
    items.sort_by(|a, b| turn(a).total_cmp(&turn(b)));
    items.into_iter().map(|(item, _)| item).collect()
}

/// Hashes two names (FNV-1a); the same on every gateway, so that a session finds its target wherever it comes in.
pub(super) fn name_hash(first: &str, second: &str) -> u64 {
    let bytes = first.bytes().chain([0]).chain(second.bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// A number in (0, 1].
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
fn uniform(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

const fn mixed(bits: u64) -> u64 {
    let mut mixed = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Chance from one number (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    const fn next(&mut self) -> u64 {
        let drawn = mixed(self.0);
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        drawn
    }

    /// Draws all items one by one, each with a chance in proportion to its weight. Weight 0 is drawn last, in order.
    pub(super) fn shuffle<T>(&mut self, items: Vec<(T, u32)>) -> Vec<T> {
        self.shuffle_kept(items).into_iter().map(|(item, _)| item).collect()
    }

    /// As [`Self::shuffle`], and keeps the weights.
    fn shuffle_kept<T>(&mut self, mut items: Vec<(T, u32)>) -> Vec<(T, u32)> {
        let count = items.len();
        for place in 0..count.saturating_sub(1) {
            let Some(left) = items.get_mut(place..) else { break };
            let total: u64 = left.iter().map(|(_, weight)| u64::from(*weight)).sum();
            let mut point = if total == 0 { 0 } else { self.next() % total };
            let mut pick = 0;
            for (index, (_, weight)) in left.iter().enumerate() {
                let weight = u64::from(*weight);
                if point < weight {
                    pick = index;
                    break;
                }
                point -= weight;
            }
            // The one that was drawn comes to the front; the order of the others stays.
            if let Some(moved) = left.get_mut(..=pick) {
                moved.rotate_right(1);
            }
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares_of_the_first_pick() {
        let mut dice = Dice(7);
        let mut first = [0_u32; 3];
        for _ in 0..10_000 {
            first[dice.shuffle(vec![(0_usize, 3), (1, 1), (2, 0)])[0]] += 1;
        }
        assert!((7_200..7_800).contains(&first[0]), "{first:?}");
        assert_eq!(first[2], 0);
    }

    #[test]
    fn the_same_roll_gives_the_same_order() {
        let items = || (0..10).map(|item| (item, 1)).collect::<Vec<_>>();
        assert_eq!(Dice(1).shuffle(items()), Dice(1).shuffle(items()));
        let mut sorted = Dice(1).shuffle(items());
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn sessions_keep_to_one_by_weight_and_move_only_when_theirs_leaves() {
        let items = |count: usize| (0..count).map(|item| (item, if item == 3 { 0 } else { 1 + u32::from(item == 0) })).collect::<Vec<_>>();
        let of = |session: u64, count| kept(items(count), mixed(session), |item| name_hash("p", &item.to_string()));
        let mut first = [0_u32; 4];
        for session in 0..10_000 {
            let order = of(session, 4);
            first[order[0]] += 1;
            assert_eq!(order[3], 3, "weight 0 is last");
            if order[0] != 2 {
                assert_eq!(of(session, 2)[0], order[0], "the others have left");
            }
        }
        assert!((4_800..5_200).contains(&first[0]) && (2_300..2_700).contains(&first[1]) && first[3] == 0, "{first:?}");
    }
}
