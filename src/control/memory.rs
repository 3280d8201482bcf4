//! Looks how much memory the process uses, and how much it may: what the spec says, else what its control group allows.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::shared::Shared;
use crate::base::ByteSize;
use crate::limit::Counters;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);

/// Looks, again and again, as long as the gateway runs.
pub(super) async fn run(shared: Weak<Shared>, counters: Arc<Counters>) {
    let allowed = allowed();
    while let Some(shared) = shared.upgrade() {
        let most = shared.live.load().plan.gateway.limits.memory.map(ByteSize::get).or(allowed);
        if let Some(used) = resident("self") {
            counters.memory().note(used, most);
        }
        drop(shared);
        tokio::time::sleep(EVERY).await;
    }
}

/// Returns the resident memory of a process, by its number or `self`, in bytes; none where the system does not tell.
pub fn resident(process: &str) -> Option<u64> {
    told(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn told(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the least that a control group of the process, or one around it, allows, in bytes; none where none bounds it.
fn allowed() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => least(Path::new("/sys/fs/cgroup"), path, "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                least(Path::new("/sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

/// Reads a limit in a group and in those around it. In a container the group's own path may not be there; its root then is.
fn least(root: &Path, path: &str, file: &str) -> Option<u64> {
    let inside = Path::new(path.trim_start_matches('/'));
    let groups = inside.ancestors().map(|group| root.join(group).join(file));
    let limits = groups.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    // What no machine has is how the first version says that there is none.
    limits.filter(|limit| *limit < 1 << 60).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_on_the_way_up_holds_and_what_is_no_number_is_none() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("a/b");
        fs::create_dir_all(&group).unwrap();
        assert_eq!(least(root.path(), "/a/b", "memory.max"), None);
        fs::write(group.join("memory.max"), "max\n").unwrap();
        fs::write(root.path().join("a/memory.max"), "536870912\n").unwrap();
        fs::write(root.path().join("memory.max"), "9223372036854771712\n").unwrap();
        assert_eq!(least(root.path(), "/a/b", "memory.max"), Some(512 << 20));
        assert_eq!(least(root.path(), "/gone/far", "memory.max"), None);
    }

    #[test]
    fn resident_memory_is_read_from_the_systems_words() {
        assert_eq!(told("Name:\tx\nVmRSS:\t   26912 kB\nVmData:\t1 kB\n"), Some(26_912 * 1024));
        assert_eq!(told("Name:\tx\n"), None);
        assert!(resident("self").is_none_or(|used| used > 1 << 20));
        assert_eq!(resident("nobody"), None);
    }
}
