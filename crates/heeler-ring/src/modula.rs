//! Modula: the hash modulo the sum of the weights.

use crate::server::{Server, live_by_name};

/// A modula table: the live servers in the order of their names, each as often as its weight says.
///
/// It is cheap and perfectly balanced, but a server more or less moves nearly every key. The
/// repetitions are not written out, so a weight of a million costs no more memory than one of 1.
///
/// ```
/// use heeler_ring::{Modula, Server};
///
/// let servers = [Server::named("b", 1), Server::named("a", 2)];
/// let table = Modula::build(&servers, |_| true);
/// let owners: Vec<_> = (0..4).map(|hash| table.pick(hash).unwrap()).collect();
/// assert_eq!(owners, [1, 1, 0, 1]); // a, a, b, and around
/// ```
#[derive(Debug, Clone)]
pub struct Modula {
    /// For each server, where its run of the table ends; then the server.
    runs: Vec<(u64, usize)>,
}

impl Modula {
    /// Builds the table of the servers for whose index `live` is true.
    pub fn build(servers: &[Server], live: impl Fn(usize) -> bool) -> Modula {
        let mut end = 0;
        let runs = live_by_name(servers, live).into_iter().map(|server| {
            end += u64::from(servers[server].weight);
            (end, server)
        });
        Modula {
            runs: runs.collect(),
        }
    }

    /// The index of the server that owns a hash. `None` if no server is live.
    #[inline]
    pub fn pick(&self, hash: u32) -> Option<usize> {
        let at = self.slot(hash)?;
        let run = self.runs.partition_point(|&(end, _)| end <= at);
        Some(self.runs[run].1)
    }

    /// The place in the table that a hash comes to: its remainder by the table's length.
    pub fn slot(&self, hash: u32) -> Option<u64> {
        u64::from(hash).checked_rem(self.len())
    }

    /// The length of the table: the sum of the weights.
    pub fn len(&self) -> u64 {
        self.runs.last().map_or(0, |&(end, _)| end)
    }

    /// Whether the table is empty, because no server is live.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_is_its_server_repeated(
            weights in prop::collection::vec(0u32..6, 0..12),
            dead in any::<u16>(),
            hash in any::<u32>(),
        ) {
            let servers: Vec<Server> = weights.iter().enumerate()
                .map(|(i, &weight)| Server::named(format!("s{:02}", 99 - i), weight))
                .collect();
            let live = |i: usize| dead >> i & 1 == 0;
            // The names descend, so the sorted order is the reverse of the listed one.
            let written_out: Vec<usize> = (0..servers.len()).rev().filter(|&i| live(i))
                .flat_map(|i| std::iter::repeat_n(i, servers[i].weight as usize))
                .collect();
            let table = Modula::build(&servers, live);
            prop_assert_eq!(table.len(), written_out.len() as u64);
            let owner = (hash as usize).checked_rem(written_out.len()).map(|at| written_out[at]);
            prop_assert_eq!(table.pick(hash), owner);
        }
    }
}
