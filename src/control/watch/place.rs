//! Where a path really is: which directories take part in its resolution, and whether changes there cause events.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The kernel's own limit on symlinks in one path.
const MOST_LINKS: usize = 40;

/// How a path resolves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory of each symlink on the way and of the file itself, without symlinks in their own paths. Where something
    /// on the way does not exist, the deepest directory that does.
    pub(super) dirs: BTreeSet<PathBuf>,
    /// The file at the end of the way, if it exists.
    pub(super) file: Option<PathBuf>,
}

/// Resolves a path step by step. Changing anything that takes part in it changes one of the directories it gives.
pub(super) fn resolve(path: &Path) -> Place {
    let mut place = Place::default();
    let mut links = 0;
    let mut at = PathBuf::from("/");
    let mut ahead = steps(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    while let Some(step) = ahead.pop() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&step);
        match std::fs::read_link(&next) {
            Ok(target) => {
                place.dirs.insert(at.clone());
                links += 1;
                if links > MOST_LINKS {
                    return place;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                ahead.extend(steps(&target));
            }
            Err(_) if ahead.is_empty() => {
                place.file = next.symlink_metadata().is_ok().then_some(next);
                place.dirs.insert(at.clone());
            }
            Err(_) if next.is_dir() => at = next,
            Err(_) => {
                place.dirs.insert(at);
                return place;
            }
        }
    }
    place
}

/// A path's components, last first, so that they can be popped.
fn steps(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    let mut steps: Vec<OsString> = named.collect();
    steps.reverse();
    steps
}

/// File systems whose changes may come from another machine, of which inotify then says nothing (and no error either):
/// nfs, smb, cifs, smb2, 9p, fuse (with virtiofs, sshfs, Docker Desktop), ceph, afs, lustre, gpfs, ocfs2, vboxsf.
/// From `linux/magic.h` and the sources of those outside it.
const REMOTE: [u64; 12] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x5346_414f,
    0x0bd0_0bd0,
    0x4750_4653,
    0x7461_636f,
    0x786f_4256,
];

/// Returns whether changes in this directory may come without events.
pub(super) fn is_remote(dir: &Path) -> bool {
    // The field's type differs between targets; the magic number is its low 32 bits on all of them.
    #[allow(clippy::unnecessary_cast)]
    rustix::fs::statfs(dir).is_ok_and(|stat| REMOTE.contains(&(stat.f_type as u64 & 0xffff_ffff)))
}

/// Returns which of `files` are mount points themselves, after the text of `/proc/self/mountinfo`.
///
/// Such a file (`docker -v ./gateway.yaml:/gateway.yaml`, Kubernetes `subPath`) keeps the inode that it was mounted with: once
/// the host replaces the file by renaming, the new content never arrives. Its directory must be mounted instead.
pub fn single_file_mounts(mountinfo: &str, files: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    points.filter(|point| files.contains(point)).collect()
}

/// Undoes the octal escapes of mountinfo (`\040` is a space; see proc(5)).
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return PathBuf::from(OsString::from_vec(bytes)),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn temp() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        (dir, root)
    }

    #[test]
    fn every_directory_that_holds_a_hop_is_named() {
        let (_guard, root) = temp();
        for dir in ["mount/..ts1", "elsewhere", "releases/1"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::fs::write(root.join("elsewhere/real.yaml"), "x").unwrap();
        symlink("..ts1", root.join("mount/..data")).unwrap();
        symlink("..data/gateway.yaml", root.join("mount/gateway.yaml")).unwrap();
        symlink(root.join("elsewhere/real.yaml"), root.join("mount/..ts1/gateway.yaml")).unwrap();
        let place = resolve(&root.join("mount/gateway.yaml"));
        assert_eq!(place.dirs, [root.join("mount"), root.join("mount/..ts1"), root.join("elsewhere")].into());
        assert_eq!(place.file, Some(root.join("elsewhere/real.yaml")));
        // A symlink in the middle of the way counts as much as one at its end.
        symlink("releases/1", root.join("current")).unwrap();
        std::fs::write(root.join("releases/1/gateway.yaml"), "x").unwrap();
        assert_eq!(resolve(&root.join("current/gateway.yaml")).dirs, [root.clone(), root.join("releases/1")].into());
        assert_eq!(resolve(&root.join("current/../1/gateway.yaml")).dirs, [root.clone(), root.join("releases/1")].into());
    }

    #[test]
    fn what_does_not_exist_is_awaited_in_the_deepest_directory_that_does() {
        let (_guard, root) = temp();
        assert_eq!(resolve(&root.join("a/b/c.yaml")), Place { dirs: [root.clone()].into(), file: None });
        symlink("gone/c.yaml", root.join("link.yaml")).unwrap();
        assert_eq!(resolve(&root.join("link.yaml")), Place { dirs: [root].into(), file: None });
    }

    #[test]
    fn a_circle_of_symlinks_ends() {
        let (_guard, root) = temp();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(resolve(&root.join("a")), Place { dirs: [root].into(), file: None });
    }

    #[test]
    fn a_file_that_is_a_mount_is_found_by_its_escaped_name() {
        let mountinfo = "22 1 0:21 / / rw - ext4 /dev/sda rw\n\
            36 22 0:32 /deep/gateway.yaml /etc/my\\040gateway.yaml rw,relatime - ext4 /dev/sda rw\n\
            37 22 0:32 / /etc/other rw - tmpfs tmpfs rw\n";
        let files = [PathBuf::from("/etc/my gateway.yaml"), PathBuf::from("/etc/plain.yaml")].into();
        assert_eq!(single_file_mounts(mountinfo, &files), [PathBuf::from("/etc/my gateway.yaml")]);
    }
}
