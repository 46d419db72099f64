//! How small collections are kept: up to which size in one allocation, as CONFIG SET says. What is
//! kept already stays as it is until it changes.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use super::Store;
use super::compact::chunks::Bounds;
use super::compact::run::MOST_RECORDS;
use super::view::View;

/// A limit of Redis's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Most fields of a hash in a listpack.
    HashEntries,
    /// Longest field or value in bytes of a hash in a listpack.
    HashValue,
    /// Most integers in an intset.
    IntsetEntries,
    /// Longest sparse form of a HyperLogLog in bytes.
    SketchBytes,
    /// What a node of a list may have: so many elements, or 4, 8, 16, 32, 64 KiB for -1 to -5.
    ListSize,
    /// Most members of a sorted set in a listpack.
    ZsetEntries,
    /// Longest member in bytes of a sorted set in a listpack.
    ZsetValue,
}

impl Limit {
    /// All of them, in the order of their names.
    pub const ALL: [Limit; 7] = [
        Limit::HashEntries,
        Limit::HashValue,
        Limit::SketchBytes,
        Limit::ListSize,
        Limit::IntsetEntries,
        Limit::ZsetEntries,
        Limit::ZsetValue,
    ];

    /// Redis's name for it, and the one that it had before.
    pub fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Limit::HashEntries => (
                "hash-max-listpack-entries",
                Some("hash-max-ziplist-entries"),
            ),
            Limit::HashValue => ("hash-max-listpack-value", Some("hash-max-ziplist-value")),
            Limit::SketchBytes => ("hll-sparse-max-bytes", None),
            Limit::IntsetEntries => ("set-max-intset-entries", None),
            Limit::ListSize => ("list-max-listpack-size", Some("list-max-ziplist-size")),
            Limit::ZsetEntries => (
                "zset-max-listpack-entries",
                Some("zset-max-ziplist-entries"),
            ),
            Limit::ZsetValue => ("zset-max-listpack-value", Some("zset-max-ziplist-value")),
        }
    }

    /// Redis's own value.
    pub fn usual(self) -> i64 {
        match self {
            Limit::HashEntries | Limit::IntsetEntries => 512,
            Limit::HashValue | Limit::ZsetValue => 64,
            Limit::SketchBytes => 3000,
            Limit::ListSize => -2,
            Limit::ZsetEntries => 128,
        }
    }

    /// The lowest value and the highest.
    pub fn range(self) -> (i64, i64) {
        match self {
            Limit::ListSize => (i32::MIN.into(), i32::MAX.into()),
            _ => (0, i64::MAX),
        }
    }

    /// Whether it is a number of bytes, which may be given in kilobytes and the like.
    pub fn is_bytes(self) -> bool {
        matches!(
            self,
            Limit::HashValue | Limit::ZsetValue | Limit::SketchBytes
        )
    }
}

/// The limits of a store.
#[derive(Debug)]
pub(super) struct Encodings {
    limits: [AtomicI64; Limit::ALL.len()],
    /// Whether DUMP compresses long strings.
    compresses: AtomicBool,
    /// Longest string in bytes.
    most: AtomicUsize,
    seed: u64,
}

impl Encodings {
    /// Redis's own limits. The seed chooses how the elements of tables are hashed.
    pub(super) fn new(seed: u64) -> Encodings {
        let mut limits = [const { AtomicI64::new(0) }; Limit::ALL.len()];
        for limit in Limit::ALL {
            limits[limit as usize] = AtomicI64::new(limit.usual());
        }
        Encodings {
            limits,
            compresses: AtomicBool::new(true),
            most: crate::limits::VALUE_BYTES.into(),
            seed,
        }
    }

    fn get(&self, limit: Limit) -> i64 {
        self.limits[limit as usize].load(Ordering::Relaxed)
    }

    fn size(&self, limit: Limit) -> usize {
        usize::try_from(self.get(limit)).unwrap_or(0)
    }
}

/// Redis has no more integers in an intset, whatever its configuration says.
const MOST_INTEGERS: usize = 1 << 30;

/// What Redis's number for the size of a list's nodes means.
fn list_bounds(size: i64) -> Bounds {
    const KILOBYTES: usize = 1024;
    let (bytes, elements) = match size {
        ..=-5 => (64, usize::MAX),
        -4 => (32, usize::MAX),
        -3 => (16, usize::MAX),
        -2 => (8, usize::MAX),
        -1 => (4, usize::MAX),
        // Redis takes a node of none as one that is always full.
        0.. => (8, usize::try_from(size).unwrap_or(usize::MAX).max(1)),
    };
    Bounds {
        bytes: bytes * KILOBYTES,
        elements,
    }
}

/// The limits as commands ask for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'s>(&'s Encodings);

impl<'s> Limits<'s> {
    /// Those of the view's store.
    #[inline]
    pub(super) fn of(view: &View<'s>) -> Limits<'s> {
        Limits(&view.store().encodings)
    }

    /// Most fields of a hash in a listpack.
    #[inline]
    pub(super) fn hash_entries(self) -> usize {
        self.0.size(Limit::HashEntries).min(MOST_RECORDS)
    }

    /// Bytes of the longest word of a hash in a listpack.
    #[inline]
    pub(super) fn hash_value(self) -> usize {
        self.0.size(Limit::HashValue)
    }

    /// Most members of a sorted set in a listpack.
    #[inline]
    pub(super) fn zset_entries(self) -> usize {
        self.0.size(Limit::ZsetEntries).min(MOST_RECORDS)
    }

    /// Bytes of the longest member of a sorted set in a listpack.
    #[inline]
    pub(super) fn zset_value(self) -> usize {
        self.0.size(Limit::ZsetValue)
    }

    /// Most integers in an intset.
    #[inline]
    pub(super) fn intset(self) -> usize {
        self.0.size(Limit::IntsetEntries).min(MOST_INTEGERS)
    }

    /// Bytes of the longest sparse form of a HyperLogLog.
    pub(super) fn sketch(self) -> usize {
        self.0.size(Limit::SketchBytes)
    }

    /// What a node of a list has at most.
    #[inline]
    pub(super) fn list(self) -> Bounds {
        list_bounds(self.0.get(Limit::ListSize))
    }

    /// Bytes that a command may make a string long.
    #[inline]
    pub(super) fn most_bytes(self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    /// Whether long strings are compressed where a value is dumped.
    pub(super) fn compresses(self) -> bool {
        self.0.compresses.load(Ordering::Relaxed)
    }

    /// Chooses how the elements of tables are hashed.
    pub(super) fn seed(self) -> u64 {
        self.0.seed
    }
}

#[cfg(test)]
impl Default for Limits<'_> {
    fn default() -> Self {
        static USUAL: std::sync::LazyLock<Encodings> =
            std::sync::LazyLock::new(|| Encodings::new(1));
        Limits(&USUAL)
    }
}

impl Store {
    /// A limit up to which small collections are kept in one allocation.
    pub fn encoding_limit(&self, limit: Limit) -> i64 {
        self.encodings.get(limit)
    }

    /// Commands make no string longer than so many bytes from now on.
    pub fn limit_strings(&self, bytes: usize) {
        self.encodings.most.store(bytes, Ordering::Relaxed);
    }

    /// Whether DUMP compresses long strings.
    pub fn compresses(&self) -> bool {
        self.encodings.compresses.load(Ordering::Relaxed)
    }

    /// Whether it shall from now on.
    pub fn compress(&self, compresses: bool) {
        self.encodings
            .compresses
            .store(compresses, Ordering::Relaxed);
    }

    /// Changes a limit, for collections that are new or change.
    pub fn set_encoding_limit(&self, limit: Limit, value: i64) {
        self.encodings.limits[limit as usize].store(value, Ordering::Relaxed);
    }
}
