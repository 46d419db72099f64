//! Notices that files have changed, by looking at them from time to time.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that are watched: one, and those that it names. A change counts once two looks in a row
/// have found the same in all of them, so that none is read before it is whole, and a certificate
/// not before its key.
#[derive(Debug)]
pub struct Watch {
    /// The first is the file that names the others.
    files: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// What was found when the file was last read.
    read: Option<Stamp>,
    /// What the last look has found.
    seen: Option<Stamp>,
}

/// What differs when a file is written, or another is put in its place, also behind a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Watched {
    fn new(path: &Path) -> Watched {
        let stamp = stamp(path);
        Watched {
            path: path.into(),
            read: stamp,
            seen: stamp,
        }
    }
}

impl Watch {
    /// Watches a file, which is about to be read.
    pub fn new(path: &Path) -> Watch {
        Watch {
            files: vec![Watched::new(path)],
        }
    }

    /// The files are about to be read, for whatever reason.
    pub fn reads(&mut self) {
        for file in &mut self.files {
            file.read = stamp(&file.path);
        }
    }

    /// These files are named by the one that was read, are about to be read, too, and are watched
    /// from now on; others that it has named are not any more.
    pub fn follow<'p>(&mut self, named: impl Iterator<Item = &'p Path>) {
        let mut rest = self.files.split_off(1);
        for path in named {
            if !self.files.iter().any(|file| file.path == path) {
                let known = rest.iter().position(|file| file.path == path);
                let known = known.map(|at| rest.swap_remove(at));
                self.files.push(known.unwrap_or_else(|| Watched::new(path)));
            }
        }
    }

    /// Looks. A file that has changed, once for each change. A file that is not there is waited
    /// for.
    pub fn has_changed(&mut self) -> Option<PathBuf> {
        let mut settled = true;
        for file in &mut self.files {
            let found = stamp(&file.path);
            settled &= found == file.seen;
            file.seen = found;
        }
        if !settled {
            return None;
        }
        let is_new = |file: &Watched| file.seen.is_some() && file.seen != file.read;
        let changed = self.files.iter().find(|file| is_new(file))?.path.clone();
        for file in self.files.iter_mut().filter(|file| is_new(file)) {
            file.read = file.seen;
        }
        Some(changed)
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
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.yml");
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path);
        assert_eq!(watch.has_changed(), None);
        fs::write(&path, "ab").unwrap();
        assert_eq!(watch.has_changed(), None, "it may go on");
        fs::write(&path, "abc").unwrap();
        assert_eq!(watch.has_changed(), None);
        assert_eq!(watch.has_changed().as_ref(), Some(&path));
        assert_eq!(watch.has_changed(), None);
    }

    #[test]
    fn a_file_may_be_replaced_and_be_away_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let (path, next) = (dir.path().join("f.yml"), dir.path().join("next"));
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path);
        fs::write(&next, "b").unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(watch.has_changed(), None);
        assert_eq!(watch.has_changed(), None);
        fs::rename(&next, &path).unwrap();
        assert_eq!(watch.has_changed(), None);
        assert_eq!(watch.has_changed().as_ref(), Some(&path));
    }

    #[test]
    fn files_that_are_named_are_watched_behind_links_too() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("f.yml"), "a").unwrap();
        for (folder, text) in [("first", "1"), ("second", "2")] {
            fs::create_dir(at(folder)).unwrap();
            fs::write(at(folder).join("cert"), text).unwrap();
        }
        // As Kubernetes renews secrets: by another folder behind a link.
        let link = |folder: &str| {
            symlink(folder, at("new")).unwrap();
            fs::rename(at("new"), at("current")).unwrap();
        };
        link("first");
        let cert = at("current").join("cert");
        let mut watch = Watch::new(&at("f.yml"));
        watch.follow([cert.as_path(), &cert, &at("missing")].into_iter());
        assert_eq!(watch.has_changed(), None);
        link("second");
        assert_eq!(watch.has_changed(), None);
        assert_eq!(watch.has_changed(), Some(cert.clone()));
        assert_eq!(watch.has_changed(), None);
        fs::write(at("missing"), "x").unwrap();
        assert_eq!(watch.has_changed(), None, "it may go on");
        link("first");
        assert_eq!(watch.has_changed(), None, "the other may go on, too");
        assert_eq!(watch.has_changed(), Some(cert.clone()));
        assert_eq!(watch.has_changed(), None, "both were told");
        watch.follow([].into_iter());
        link("second");
        assert_eq!((watch.has_changed(), watch.has_changed()), (None, None));
    }

    #[test]
    fn what_was_read_meanwhile_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.yml");
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path);
        fs::write(&path, "ab").unwrap();
        watch.reads();
        assert_eq!(watch.has_changed(), None);
        assert_eq!(watch.has_changed(), None);
    }
}
