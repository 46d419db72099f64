//! What happens in a ring, for listeners and for the log.

use heeler_swim::{Event as Membership, Severity, Status};

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

impl Event {
    /// The address of a member that is there anew: alive, and new here or with another incarnation
    /// number than before. Whoever keeps away from it need not any longer.
    pub fn began(&self) -> Option<&str> {
        let Event::Membership(Membership::MemberChanged { old, new }) = self else {
            return None;
        };
        let before = old.as_ref().map(|old| old.incarnation);
        let is_new = new.status == Status::Alive && before != Some(new.incarnation);
        is_new.then_some(&*new.address)
    }
}

/// Writes what happened to the log.
pub(crate) fn log(event: &Membership) {
    match event.severity() {
        Severity::Warn => tracing::warn!("{event}"),
        Severity::Info => tracing::info!("{event}"),
        Severity::Debug => tracing::debug!("{event}"),
    }
}
