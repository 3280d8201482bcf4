//! Who is still let in when the gateway is nearly full: the most important requests last.
//!
//! Rule: whoever is turned away costs next to nothing; nothing of its body has been read.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Priority;

/// Requests that always find room: they cannot be what fills the memory.
const FEW: u64 = 16;

/// How much of the memory that the process may use is in use. Sampled by whoever looks at the process.
#[derive(Debug, Default)]
pub struct Memory {
    used: AtomicU64,
    /// 0: nothing bounds it.
    most: AtomicU64,
}

impl Memory {
    /// Notes what is used, and the most that may be. Bytes.
    pub fn note(&self, used: u64, most: Option<u64>) {
        self.used.store(used, Ordering::Relaxed);
        self.most.store(most.unwrap_or(0), Ordering::Relaxed);
    }

    /// Returns what is used and the most that may be, in bytes; none of either where it is not known.
    pub fn now(&self) -> (Option<u64>, Option<u64>) {
        let known = |number: u64| Some(number).filter(|number| *number > 0);
        (known(self.used.load(Ordering::Relaxed)), known(self.most.load(Ordering::Relaxed)))
    }

    /// Returns whether there is room for a request of this priority: for the least important up to 80 % of the memory, for others up to 90 %, for
    /// the most important up to 95 %.
    ///
    /// Whatever is in use: while few requests run, it is not theirs, and turning them away would free nothing.
    pub fn admits(&self, priority: Priority, running: u64) -> bool {
        let (Some(used), Some(most)) = self.now() else { return true };
        if running < FEW {
            return true;
        }
        let percent = match priority {
            Priority::Critical => 95,
            Priority::Normal => 90,
            Priority::Batch => 80,
        };
        used.saturating_mul(100) < most.saturating_mul(percent)
    }
}

/// Returns how many requests may run for one of this priority to be let in, of so many in all: for the least important four fifths, for others nine
/// tenths, at least one. Nothing is kept for a priority that no key has: whoever is as important as any has all of them.
pub fn places(most: u32, priority: Priority, highest: Priority) -> u32 {
    let tenths = match priority {
        Priority::Critical => 10,
        Priority::Normal | Priority::Batch if priority <= highest => 10,
        Priority::Normal => 9,
        Priority::Batch => 8,
    };
    let room = u64::from(most) * tenths / 10;
    u32::try_from(room).unwrap_or(most).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_are_turned_away_first() {
        let all = [Priority::Batch, Priority::Normal, Priority::Critical];
        assert_eq!(all.map(|priority| places(2_000, priority, Priority::Critical)), [1_600, 1_800, 2_000]);
        assert_eq!(all.map(|priority| places(2_000, priority, Priority::Normal)), [1_600, 2_000, 2_000]);
        assert_eq!(all.map(|priority| places(1, priority, Priority::Critical)), [1; 3]);
        let memory = Memory::default();
        assert!(all.iter().all(|priority| memory.admits(*priority, 99)), "nothing is known");
        for (used, admitted) in [(79, [true; 3]), (80, [false, true, true]), (90, [false, false, true]), (95, [false; 3])] {
            memory.note(used, Some(100));
            assert_eq!(all.map(|priority| memory.admits(priority, 16)), admitted, "{used}");
            assert!(all.iter().all(|priority| memory.admits(*priority, 15)), "few run");
        }
        memory.note(1 << 40, None);
        assert!(all.iter().all(|priority| memory.admits(*priority, 99)), "nothing bounds it");
    }
}
