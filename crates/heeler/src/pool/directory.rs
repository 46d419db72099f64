//! The addresses that the names of servers had when they were last looked up.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

/// For each server, in the order of the file, the addresses of its host. Empty: not known.
pub type Addresses = Arc<Vec<Vec<IpAddr>>>;

/// Tells the connections of a pool, on all workers, what addresses their servers have.
#[derive(Debug)]
pub struct Directory {
    addresses: watch::Sender<Addresses>,
}

impl Directory {
    /// Nothing is known yet.
    pub fn new() -> Directory {
        let (addresses, _) = watch::channel(Addresses::default());
        Directory { addresses }
    }

    /// Everybody who follows looks at the addresses anew, also where they are the same: a
    /// connection may have been opened to an old one meanwhile.
    pub fn publish(&self, addresses: Addresses) {
        self.addresses.send_replace(addresses);
    }

    /// From now on.
    pub fn follow(&self) -> watch::Receiver<Addresses> {
        self.addresses.subscribe()
    }
}

impl Default for Directory {
    fn default() -> Directory {
        Directory::new()
    }
}

/// Whether a connection to this address has to move: its host has addresses, and this is no longer
/// one of them. A name that is not found moves nothing: the server may well be alive.
pub fn has_left(in_use: IpAddr, found: &[IpAddr]) -> bool {
    !found.is_empty() && !found.contains(&in_use)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_moves_when_its_address_is_gone() {
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "::1"].map(|text| text.parse().unwrap());
        assert!(!has_left(a, &[a]));
        assert!(!has_left(a, &[b, a, c]));
        assert!(has_left(a, &[b, c]));
        assert!(!has_left(a, &[]));
    }
}
