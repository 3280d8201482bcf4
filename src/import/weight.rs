//! Weights: any numbers that stand to one another as shares, as small whole numbers.

use serde_json::Number;

use super::draft::{Draft, at};
use super::tree::Cursor;
use crate::catalog::convert::scaled;
use crate::spec::TargetRef;

/// The largest weight.
pub(super) const MOST: u32 = 1_000_000;

/// Returns whole weights in the same proportion. What has none weighs nothing where others `are_weighted`, else as much as everybody.
pub(super) fn whole(numbers: &[Option<&Number>], are_weighted: bool) -> Vec<u32> {
    if !are_weighted {
        return vec![1; numbers.len()];
    }
    let fine: Vec<u64> = numbers.iter().map(|number| number.and_then(|number| scaled(number, 6)).unwrap_or(0)).collect();
    let divisor = fine.iter().copied().fold(0, greatest_common_divisor).max(1);
    let most = fine.iter().copied().max().unwrap_or(0) / divisor;
    // What is too fine for the largest weight is rounded, but never to nothing.
    let coarse = most.div_ceil(u64::from(MOST)).max(1);
    let weights: Vec<u32> = fine.iter().map(|it| weight(*it, divisor, coarse)).collect();
    if weights.iter().all(|weight| *weight == 0) { vec![1; numbers.len()] } else { weights }
}

fn weight(fine: u64, divisor: u64, coarse: u64) -> u32 {
    let rounded = (fine / divisor).checked_div(coarse).unwrap_or(0);
    u32::try_from(if fine > 0 { rounded.max(1) } else { 0 }).unwrap_or(MOST).min(MOST)
}

const fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Takes weights away where they are all the same.
pub(super) fn tidy(targets: &mut [TargetRef]) {
    let first = targets.first().and_then(|target| target.weight);
    let are_same = targets.iter().all(|target| target.weight == first);
    for target in targets {
        target.weight = target.weight.filter(|weight| !are_same && *weight != 1);
    }
}

/// Tells what became of weights.
pub(super) fn tell<'t>(draft: &mut Draft, written: impl Iterator<Item = Cursor<'t>>, place: &[&str]) {
    for it in written {
        match it.number().and_then(|number| scaled(number, 6)) {
            Some(_) => draft.findings.exact(it, at(place)),
            None => draft.findings.manual(it, at(place), "a weight is a number that is not negative"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_stay_and_numbers_become_small() {
        let weigh = |texts: &[&str]| {
            let numbers: Vec<Number> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            whole(&numbers.iter().map(Some).collect::<Vec<_>>(), true)
        };
        assert_eq!(weigh(&["0.7", "0.3"]), [7, 3]);
        assert_eq!(weigh(&["100000", "200000"]), [1, 2]);
        assert_eq!(weigh(&["0", "5"]), [0, 1]);
        assert_eq!(weigh(&["0", "0"]), [1, 1]);
        assert_eq!(weigh(&["1", "99999999"]), [1, 999_999]);
        assert_eq!(whole(&[None, None], false), [1, 1]);
    }
}
