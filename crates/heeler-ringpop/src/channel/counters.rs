//! What a channel counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a channel has done since it began, and what it is doing.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            /// Connections that are open now, those included whose handshake is not done.
            pub connections: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters of one connection. Only its task writes them.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Tally {
            /// Adds what is counted here to `sum`.
            pub(super) fn add_to(&self, sum: &mut Counters) {
                $(sum.$name += self.$name.load(Relaxed);)*
            }

            /// Adds what another has counted.
            pub(super) fn absorb(&self, other: &Tally) {
                $(self.$name.fetch_add(other.$name.load(Relaxed), Relaxed);)*
            }
        }
    };
}

counters! {
    /// Connections that peers opened.
    connections_accepted,
    /// Connections that we opened.
    connections_dialled,
    /// Connections that were refused, for there were too many, or that failed before they were
    /// open.
    connections_failed,
    /// Connections closed for a fault of the protocol, told by either side.
    protocol_errors,
    /// Calls of peers.
    calls_in,
    /// Calls of peers that were answered with an error frame.
    errors_out,
    /// Calls of peers that were cancelled or whose time was up.
    calls_dropped,
    /// Our calls.
    calls_out,
    /// Our calls that failed: by an error frame, or here.
    errors_in,
    /// Our calls that were cancelled: the future was dropped.
    calls_cancelled,
    /// Bytes read.
    bytes_in,
    /// Bytes written.
    bytes_out,
}

/// Counts `n` more. There is one writer, so that no locked instruction is needed.
pub(super) fn count(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}
