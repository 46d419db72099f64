//! What time it is, by the clocks of most nodes.
//!
//! Versions follow the clock of the owner. One that is wrong by days would have its writes win over
//! all that others write later, where a parted ring meets again, and would draw the versions of all
//! others along: each goes on from the highest that it has seen. So each letter says what time it
//! is, and a node's versions go but a little further than what most nodes say, whatever its own
//! clock does. They need not be refused by anybody then, and nothing has to be done once the clock
//! is right again.

use super::{Holding, Node, Now};
use crate::limits;

/// What is known of the time.
#[derive(Default)]
pub(super) struct Clocks {
    /// When it is reckoned next; `None` before another node has said something.
    pub(super) next_at: Option<u64>,
    /// This node's clock is ahead of most others', and the log says so.
    is_ahead: bool,
}

/// What another node's clock said.
#[derive(Clone, Copy)]
pub(super) struct Said {
    wall_ms: u64,
    /// When it was heard.
    at: u64,
}

impl Said {
    /// What it says now.
    fn projected(self, now: Now) -> u64 {
        self.wall_ms
            .saturating_add(now.ms.saturating_sub(self.at))
            .min(limits::LATEST_MS)
    }
}

impl Holding {
    /// A node has said what time it is; 0 if it knows none.
    pub(super) fn note_time(&mut self, now: Now, node: &Node, wall_ms: u64) {
        if wall_ms == 0 {
            return;
        }
        let said = Said {
            wall_ms,
            at: now.ms,
        };
        let before = self.peer(node).clock.replace(said);
        let known = before.map(|before| before.projected(now));
        let is_news = known.is_none_or(|it| it.abs_diff(wall_ms) > limits::VERSIONS_AHEAD_MS / 4);
        if is_news {
            self.reckon_time(now);
        }
    }

    /// Bounds new versions by the time that most nodes say.
    pub(super) fn reckon_on_time(&mut self, now: Now) {
        if self.clocks.next_at.is_some_and(|at| at <= now.ms) {
            self.reckon_time(now);
        }
    }

    fn reckon_time(&mut self, now: Now) {
        self.clocks.next_at = Some(now.ms + limits::VERSIONS_AHEAD_MS / 4);
        let time = self.time_of_most(now);
        let bound = time.map(|time| time + limits::VERSIONS_AHEAD_MS);
        self.store.bound_versions(bound);
        let is_ahead = bound.is_some_and(|bound| now.wall_ms > bound);
        if std::mem::replace(&mut self.clocks.is_ahead, is_ahead) == is_ahead {
            return;
        }
        match time {
            Some(time) if is_ahead => tracing::warn!(
                seconds = (now.wall_ms - time) / 1000,
                "this node's clock is ahead of most others' in the ring: set it right, for keys \
                 expire by it; versions of its writes follow the others' clocks"
            ),
            _ => tracing::info!("this node's clock agrees with most others' in the ring again"),
        }
    }

    /// The time by the clock in the middle, of the two in the middle by the earlier; `None` if no
    /// other has been heard of lately.
    fn time_of_most(&self, now: Now) -> Option<u64> {
        let ring = &self.view.as_ref()?.ring;
        let heard = self.peers.iter().filter_map(|(node, peer)| {
            let said = peer.clock?;
            let is_fresh = now.ms.saturating_sub(said.at) <= limits::CLOCK_HEARD_MS;
            (is_fresh && ring.contains(node)).then(|| said.projected(now))
        });
        let mut times: Vec<u64> = heard.collect();
        if times.is_empty() {
            return None;
        }
        times.push(now.wall_ms.min(limits::LATEST_MS));
        times.sort_unstable();
        times.get((times.len() - 1) / 2).copied()
    }
}
