//! Notices that a file has changed, by looking at it from time to time.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that is watched. A change counts once two looks in a row have found the same, so that a
/// file that is being written is not read before it is whole.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// What was found when the file was last read.
    read: Option<Stamp>,
    /// What the last look has found.
    seen: Option<Stamp>,
}

/// What differs when a file is written, or another is put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Watch {
    /// Watches a file, which is about to be read.
    pub fn new(path: &Path) -> Watch {
        let stamp = stamp(path);
        Watch {
            path: path.into(),
            read: stamp,
            seen: stamp,
        }
    }

    /// The file is about to be read, for whatever reason.
    pub fn reads(&mut self) {
        self.read = stamp(&self.path);
    }

    /// Looks. True once for each change. A file that is not there is waited for.
    pub fn has_changed(&mut self) -> bool {
        let found = stamp(&self.path);
        let is_settled = found.is_some() && found == self.seen;
        self.seen = found;
        let changed = is_settled && found != self.read;
        if changed {
            self.read = found;
        }
        changed
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.yml");
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path);
        assert!(!watch.has_changed());
        fs::write(&path, "ab").unwrap();
        assert!(!watch.has_changed(), "it may go on");
        fs::write(&path, "abc").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
    }

    #[test]
    fn a_file_may_be_replaced_and_be_away_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let (path, next) = (dir.path().join("f.yml"), dir.path().join("next"));
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path);
        fs::write(&next, "b").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!watch.has_changed());
        assert!(!watch.has_changed());
        fs::rename(&next, &path).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }

    #[test]
    fn what_was_read_meanwhile_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.yml");
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path);
        fs::write(&path, "ab").unwrap();
        watch.reads();
        assert!(!watch.has_changed());
        assert!(!watch.has_changed());
    }
}
