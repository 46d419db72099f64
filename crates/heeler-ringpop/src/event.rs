//! What happens in a ring, for listeners and for the log.

use heeler_swim::{Event as Membership, Severity};

/// Something that happened to this member's view of the ring.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// To the membership: who came, changed, or went, and what the ring made of it.
    Membership(Membership),
    /// The checksum of the ring's servers was computed, because they have changed.
    RingChecksumComputed {
        /// The checksum.
        checksum: u32,
    },
}

/// Writes what happened to the log.
pub(crate) fn log(event: &Membership) {
    match event.severity() {
        Severity::Warn => tracing::warn!("{event}"),
        Severity::Info => tracing::info!("{event}"),
        Severity::Debug => tracing::debug!("{event}"),
    }
}
