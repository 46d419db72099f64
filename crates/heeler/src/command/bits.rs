//! Sets of named bits: flags, key uses and categories, as `COMMAND` shows them.

/// Makes a type of up to 32 named bits, with the names that clients see.
macro_rules! bit_set {
    ($(#[$doc:meta])* $set:ident $($name:ident $bit:literal $shown:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $set(u32);

        #[allow(missing_docs)]
        impl $set {
            pub const NONE: $set = $set(0);
            $(pub const $name: $set = $set(1 << $bit);)*

            /// Whether all of `other` are set.
            pub const fn has(self, other: $set) -> bool {
                self.0 & other.0 == other.0
            }

            /// Both sets.
            pub const fn and(self, other: $set) -> $set {
                $set(self.0 | other.0)
            }

            /// What is set, by Redis's names.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$(($set::$name, $shown)),*]
                    .into_iter()
                    .filter_map(move |(bit, name)| self.has(bit).then_some(name))
            }
        }
    };
}

pub(super) use bit_set;
