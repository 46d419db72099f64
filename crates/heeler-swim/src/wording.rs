//! What events say in a log, and how loudly.

use std::fmt;
use std::sync::Arc;

use crate::{Event, MemberState, Status, limits};

/// How loudly an event is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For those who look into the protocol.
    Debug,
    /// What an operator expects to read.
    Info,
    /// Something may have to be done.
    Warn,
}

impl Event {
    /// How loudly to tell it.
    pub fn severity(&self) -> Severity {
        match self {
            Event::ChecksumComputed { .. } | Event::FullSync { .. } => Severity::Debug,
            Event::PingInconclusive { .. } | Event::JoinFailed { .. } => Severity::Debug,
            // Who has said that it goes is not missed.
            Event::MemberChanged { old, new } if new.status == Status::Faulty => {
                match old.as_ref().is_some_and(|old| old.status == Status::Leave) {
                    true => Severity::Info,
                    false => Severity::Warn,
                }
            }
            Event::MemberChanged { .. } | Event::MemberEvicted(_) => Severity::Info,
            // It is made again and again, as long as a seed is gone.
            Event::HealAttempt { targets } if targets.is_empty() => Severity::Debug,
            Event::RingChanged { .. } | Event::HealAttempt { .. } => Severity::Info,
            // It was to join others, and has not.
            Event::Ready { joined, missed, .. } if joined.is_empty() && !missed.is_empty() => {
                Severity::Warn
            }
            Event::HashDetected { .. } | Event::Ready { .. } => Severity::Info,
            Event::SelfEvicted => Severity::Info,
            Event::HashDiffers { .. } | Event::BootstrapFailed { .. } => Severity::Warn,
            Event::Refuted { .. } | Event::Doubt { .. } => Severity::Warn,
            Event::Flapping { .. } | Event::Damped { .. } => Severity::Warn,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::MemberChanged { old, new } => changed(f, old.as_ref(), new),
            Event::MemberEvicted(member) => write!(f, "{} is forgotten", member.address),
            Event::RingChanged { added, removed } => {
                let (added, removed) = (added.len(), removed.len());
                write!(f, "the ring has changed: {added} added, {removed} removed")
            }
            Event::ChecksumComputed { checksum } => {
                write!(f, "the membership checksum is {checksum}")
            }
            Event::HashDetected { peer, form } => {
                write!(
                    f,
                    "the hash function is {}, as for {peer}",
                    form.hash.name()
                )
            }
            Event::HashDiffers { peer, form } => write!(
                f,
                "{peer} uses {}, another hash function than this member: owners differ",
                form.hash.name()
            ),
            Event::Ready {
                joined,
                missed,
                took_ms,
            } => match joined.len() {
                0 => alone(f, missed, *took_ms),
                seeds => write!(f, "ready in {took_ms} ms, by the lists of {seeds} seeds"),
            },
            Event::BootstrapFailed { reason } => write!(f, "the bootstrap has failed: {reason}"),
            Event::JoinFailed { seed, reason } => write!(f, "joining by {seed} failed: {reason}"),
            Event::Refuted {
                status,
                claimed,
                incarnation,
                source,
            } => {
                let source = source.as_deref().unwrap_or("somebody");
                write!(
                    f,
                    "{source} held this member for {status} (incarnation {claimed}): refuted with \
                     incarnation {incarnation}"
                )
            }
            other => other.rest(f),
        }
    }
}

impl Event {
    /// The events about the protocol itself.
    fn rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PingInconclusive { target } => write!(
                f,
                "{target} did not answer, nor did those asked for help: that proves nothing"
            ),
            Event::FullSync { peer, theirs, ours } => {
                write!(
                    f,
                    "full sync for {peer}: its checksum is {theirs}, and not {ours}"
                )
            }
            Event::Doubt { peer, reason } => write!(f, "from {peer}: {reason}"),
            Event::HealAttempt { targets } if targets.is_empty() => {
                f.write_str("looked for a lost half of the cluster, and reached nobody")
            }
            Event::HealAttempt { targets } => {
                write!(f, "put lists together with {}", targets.join(", "))
            }
            Event::Flapping {
                address,
                flapping: true,
            } => {
                write!(f, "{address} comes and goes too often")
            }
            Event::Flapping {
                address,
                flapping: false,
            } => write!(f, "{address} is calm again"),
            Event::Damped {
                address,
                damped,
                acted,
            } => f.write_str(&match (damped, acted) {
                (true, true) => format!("{address} is out of the ring until it is calm"),
                (true, false) => format!("{address} would have been damped"),
                (false, _) => format!("{address} is damped no more"),
            }),
            Event::SelfEvicted => f.write_str("evicted itself from the cluster"),
            // All others are told above.
            _ => Ok(()),
        }
    }
}

/// What an operator has to know who started a member to join others.
fn alone(f: &mut fmt::Formatter<'_>, missed: &[(Arc<str>, String)], ms: u64) -> fmt::Result {
    write!(f, "ready in {ms} ms, in a ring of its own")?;
    if !missed.is_empty() {
        f.write_str(": none of the nodes to join has let this one in, and it goes on asking them")?;
    }
    for (at, (seed, why)) in missed.iter().take(limits::TOLD_SEEDS).enumerate() {
        write!(f, "{} {seed}: {why}", if at == 0 { ":" } else { ";" })?;
    }
    match missed.len().saturating_sub(limits::TOLD_SEEDS) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

fn changed(
    f: &mut fmt::Formatter<'_>,
    old: Option<&MemberState>,
    new: &MemberState,
) -> fmt::Result {
    let MemberState {
        address,
        status,
        incarnation,
        ..
    } = new;
    match old {
        None => write!(f, "{address} is new: {status} (incarnation {incarnation})"),
        Some(old) if old.status == *status => {
            write!(f, "{address} is {status} (incarnation {incarnation})")
        }
        Some(old) => {
            write!(
                f,
                "{address} is {status} (incarnation {incarnation}), it was {}",
                old.status
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(missed: usize) -> Event {
        Event::Ready {
            joined: Vec::new(),
            missed: (0..missed)
                .map(|i| (format!("s:{i}").into(), format!("why {i}")))
                .collect(),
            took_ms: 3000,
        }
    }

    #[test]
    fn of_many_seeds_that_were_missed_some_are_named() {
        assert!(ready(10).to_string().ends_with("s:7: why 7; and 2 more"));
    }

    #[test]
    fn events_read_as_sentences() {
        let member = |status| MemberState {
            address: "a:1".into(),
            status,
            incarnation: 7,
            labels: None,
        };
        let (old, new) = (Some(member(Status::Alive)), member(Status::Faulty));
        let target = "a:1".into();
        let refuted = Event::Refuted {
            status: Status::Suspect,
            claimed: 1,
            incarnation: 2,
            source: Some("b:1".into()),
        };
        let cases = [
            (
                Event::MemberChanged { old, new },
                "a:1 is faulty (incarnation 7), it was alive",
                Severity::Warn,
            ),
            (
                Event::MemberChanged {
                    old: None,
                    new: member(Status::Alive),
                },
                "a:1 is new: alive (incarnation 7)",
                Severity::Info,
            ),
            (
                Event::MemberChanged {
                    old: Some(member(Status::Leave)),
                    new: member(Status::Faulty),
                },
                "a:1 is faulty (incarnation 7), it was leave",
                Severity::Info,
            ),
            (
                ready(0),
                "ready in 3000 ms, in a ring of its own",
                Severity::Info,
            ),
            (
                ready(2),
                "ready in 3000 ms, in a ring of its own: none of the nodes to join has let this \
                 one in, and it goes on asking them: s:0: why 0; s:1: why 1",
                Severity::Warn,
            ),
            (
                Event::PingInconclusive { target },
                "a:1 did not answer, nor did those asked for help: that proves nothing",
                Severity::Debug,
            ),
            (
                refuted,
                "b:1 held this member for suspect (incarnation 1): refuted with incarnation 2",
                Severity::Warn,
            ),
        ];
        for (event, text, severity) in cases {
            assert_eq!((&*event.to_string(), event.severity()), (text, severity));
        }
    }
}
