//! What a process of this machine uses, where the system tells it.

use crate::control::resident;

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pid: u64,
    /// CPU time of all its threads, in microseconds: since its start, or since a first look.
    pub(super) cpu_us: u64,
    /// Memory that is in use, in bytes.
    pub(super) resident_bytes: u64,
}

impl Usage {
    /// Looks at a process; none where the system does not show it.
    pub(super) fn of(pid: u64) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let resident_bytes = resident(&pid.to_string())?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Some(Self { pid, cpu_us: ticks(&stat)?.saturating_mul(1_000_000) / per_second, resident_bytes })
    }

    /// Looks again: what was used since.
    pub(super) fn since(self) -> Option<Self> {
        let now = Self::of(self.pid)?;
        Some(Self { cpu_us: now.cpu_us.saturating_sub(self.cpu_us), ..now })
    }
}

/// The clock ticks of user and system time. The name of the program, which may hold anything, ends with the last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_whatever_the_program_is_called() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 5 0 100 0 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!((ticks(""), ticks("7 (a) S 1")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_memory() {
        let usage = Usage::of(std::process::id().into()).unwrap();
        assert!(usage.resident_bytes > 1 << 20 && usage.since().unwrap().cpu_us < 60_000_000);
        assert_eq!(Usage::of(u64::MAX), None);
    }
}
