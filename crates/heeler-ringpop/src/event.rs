//! What happens in a ring, for listeners and for the log.

use heeler_swim::{Event as Membership, Status};

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

/// Writes what happened to the log. What is worth a look at night is a warning.
pub(crate) fn log(event: &Membership) {
    match event {
        Membership::MemberChanged { old, new } => {
            let before = old.as_ref().map_or("unknown", |old| old.status.name());
            let (member, status) = (&new.address, new.status.name());
            match new.status {
                Status::Suspect | Status::Faulty => {
                    tracing::warn!(%member, incarnation = new.incarnation, "{before} -> {status}");
                }
                _ => tracing::info!(%member, incarnation = new.incarnation, "{before} -> {status}"),
            }
        }
        Membership::MemberEvicted(member) => {
            tracing::info!(member = %member.address, "forgotten");
        }
        Membership::RingChanged { added, removed } => {
            let added: Vec<&str> = added.iter().map(|member| member.address()).collect();
            tracing::info!(?added, ?removed, "the ring has changed");
        }
        Membership::ChecksumComputed { checksum } => {
            tracing::debug!(checksum, "membership checksum");
        }
        Membership::HashDetected { peer, form } => {
            tracing::info!(%peer, hash = form.hash.name(), "the ring's hash function");
        }
        Membership::HashDiffers { peer, form } => tracing::error!(
            %peer,
            hash = form.hash.name(),
            "a peer hashes otherwise: members will not agree about the owners of keys"
        ),
        Membership::Ready { joined, took_ms } => {
            tracing::info!(?joined, ms = took_ms, "ready");
        }
        Membership::BootstrapFailed { reason } => tracing::error!("bootstrap: {reason}"),
        Membership::JoinFailed { seed, reason } => {
            tracing::info!(%seed, "cannot join: {reason}");
        }
        Membership::Refuted {
            status,
            claimed,
            incarnation,
            source,
        } => tracing::warn!(
            claimed,
            incarnation,
            source = source.as_deref().unwrap_or("unknown"),
            "refuted that this member is {}",
            status.name()
        ),
        Membership::PingInconclusive { target } => {
            tracing::warn!(%target, "no answer, and nobody could tell why");
        }
        Membership::FullSync { peer, theirs, ours } => {
            tracing::info!(%peer, theirs, ours, "full sync");
        }
        Membership::Doubt { peer, reason } => tracing::warn!(%peer, "{reason}"),
        Membership::HealAttempt { targets } => {
            tracing::info!(?targets, "looked for a lost part of the cluster");
        }
        Membership::Flapping { address, flapping } => {
            tracing::warn!(member = %address, flapping, "comes and goes");
        }
        Membership::Damped {
            address,
            damped,
            acted,
        } => tracing::warn!(member = %address, damped, acted, "damped"),
        Membership::SelfEvicted => tracing::info!("out of the ring; the others know"),
    }
}
