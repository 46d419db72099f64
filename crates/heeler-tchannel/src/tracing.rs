//! The 25 bytes that tell which call was made on behalf of which other.

/// A call's place in a tree of calls. A response echoes its request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tracing {
    /// This call.
    pub span: u64,
    /// The call on whose behalf it is made; 0 for the root.
    pub parent: u64,
    /// The root of the tree.
    pub trace: u64,
    /// Bit 0: somebody collects the tree.
    pub flags: u8,
}

impl Tracing {
    /// Bytes on the wire.
    pub const BYTES: usize = 25;

    /// The root of a new tree.
    pub fn root(span: u64) -> Self {
        Tracing {
            span,
            parent: 0,
            trace: span,
            flags: 0,
        }
    }

    /// A call that is made on behalf of this one.
    pub fn child(self, span: u64) -> Self {
        Tracing {
            span,
            parent: self.span,
            ..self
        }
    }

    /// As on the wire.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.span.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.parent.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.trace.to_be_bytes());
        bytes[24] = self.flags;
        bytes
    }

    /// From the wire.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let word = |at: usize| {
            let word = bytes[at..at + 8].iter();
            word.fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Tracing {
            span: word(0),
            parent: word(8),
            trace: word(16),
            flags: bytes[24],
        }
    }
}

/// Whose call a call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    /// Nobody's: it is the root of a new tree.
    #[default]
    Root,
    /// It is made on behalf of another.
    ChildOf(Tracing),
    /// It is another, relayed.
    Same(Tracing),
}

impl Span {
    /// The tracing of a call, with `random` for the ids that are new.
    pub fn tracing(self, random: impl FnOnce() -> u64) -> Tracing {
        match self {
            Span::Root => Tracing::root(random()),
            Span::ChildOf(parent) => parent.child(random()),
            Span::Same(tracing) => tracing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_calls() {
        let root = Span::Root.tracing(|| 7);
        assert_eq!(
            root,
            Tracing {
                span: 7,
                parent: 0,
                trace: 7,
                flags: 0
            }
        );
        let child = Span::ChildOf(Tracing { flags: 1, ..root }).tracing(|| 8);
        assert_eq!(
            child,
            Tracing {
                span: 8,
                parent: 7,
                trace: 7,
                flags: 1
            }
        );
        assert_eq!(Span::Same(child).tracing(|| 9), child);
        assert_eq!(Tracing::from_bytes(child.to_bytes()), child);
    }
}
