//! Is a folder in a file system of this machine alone? And since when does the machine run?
//!
//! Read from `/proc`, so on Linux only; elsewhere neither is known, and nothing is promised.

use std::path::{Path, PathBuf};

use crate::store::Epoch;

/// File systems of one machine, where whoever opens a file after another renamed or removed it
/// sees that. Not those that a network, or a program, may be behind (`nfs`, `cifs`, `9p`, `fuse`,
/// `virtiofs`): they keep copies that may be out of date.
const LOCAL: &[&str] = &[
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "ramfs",
    "reiserfs", "tmpfs", "xfs", "zfs",
];

/// Names the time since the machine was started: after a crash a file system may have forgotten
/// the last files that were removed, which then are there again.
pub(super) fn boot() -> Option<Epoch> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

/// # Errors
///
/// Why it is not known to be.
pub(super) fn is_local(folder: &Path) -> Result<(), String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|_| "where it lies can't be told on this system".to_owned())?;
    match file_system(&mounts, folder) {
        Some(kind) if LOCAL.contains(&kind) => Ok(()),
        Some(kind) => Err(format!("{kind} is not known to be a file system of one machine")),
        None => Err("no mount that has it is known".to_owned()),
    }
}

/// The file system of a folder whose path has no links in it: that of the innermost mount, and
/// where several are mounted at one place, of the last.
fn file_system<'m>(mounts: &'m str, folder: &Path) -> Option<&'m str> {
    let mounts = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let at = plain(before.split(' ').nth(4)?);
        Some((at, after.split(' ').next()?))
    });
    let around = mounts.filter(|(at, _)| folder.starts_with(at));
    around.max_by_key(|(at, _)| at.components().count()).map(|(_, kind)| kind)
}

/// A path as the kernel writes it there, with three octal digits for what would end it.
fn plain(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(code) => {
                out.push(char::from(code));
                out.push_str(&part[3..]);
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out.into()
}

#[cfg(all(test, not(feature = "__shuttle")))]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        30 22 0:26 / /mnt rw - tmpfs tmpfs rw\n\
        31 30 0:27 / /mnt/far\\040away rw shared:9 master:2 - nfs4 host:/export rw,vers=4.2\n\
        32 22 0:28 / /srv rw - xfs /dev/sdb rw\n\
        33 32 0:29 / /srv rw - fuse.sshfs host:/ rw\n";

    #[test]
    fn the_innermost_and_last_mount_is_a_folders_file_system() {
        let kind = |path: &str| file_system(MOUNTS, Path::new(path));
        assert_eq!(kind("/var/cache"), Some("ext4"));
        assert_eq!(kind("/mnt/here"), Some("tmpfs"));
        assert_eq!(kind("/mnt/far away/cache"), Some("nfs4"));
        assert_eq!(kind("/mnt/far awayer"), Some("tmpfs"));
        assert_eq!(kind("/srv/cache"), Some("fuse.sshfs"));
        assert_eq!(file_system("", Path::new("/srv")), None);
    }
}
