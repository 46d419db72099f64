use heeler_swim::Status;

use crate::network::{Network, address};

#[test]
fn a_cold_cluster_converges_to_one_checksum() {
    for (n, most_ms) in [(1, 100), (2, 3000), (5, 3000), (50, 10_000), (200, 20_000)] {
        let mut network = Network::cold(n as u64, n, |_| {});
        let took = network.until(10, most_ms, |it| it.converged() && it.true_to_life());
        println!("{n}: {took:?} {}", network.bytes());
        assert!(took.is_some(), "{n} members");
    }
}

#[test]
fn a_dead_member_is_faulty_everywhere_in_time() {
    for (n, most_ms) in [(5, 10_000), (50, 20_000), (1000, 20_000)] {
        let mut network = Network::warm(1, n, |_| {});
        assert_eq!(network.until(100, 1000, Network::converged), Some(100));
        network.crash(0);
        let took = network.until(50, most_ms, |it| it.everywhere(&address(0), Status::Faulty));
        println!("{n}: {took:?}");
        assert!(took.is_some(), "{n} members");
    }
}
