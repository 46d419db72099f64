//! Any text as a nutcracker.yml: pools that hold together, or errors that can be shown.
#![no_main]

use heeler::cluster::{Cluster, Plan};
use heeler::config::pools::{self, Pool};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match pools::parse("nutcracker.yml", text) {
    Ok(file) => {
        assert!(!file.pools.is_empty());
        file.warnings
            .iter()
            .for_each(|warning| assert!(!warning.one_line().is_empty()));
        file.pools.iter().for_each(check);
    }
    Err(invalid) => {
        let shown = invalid.render(false);
        assert!(shown.contains("nutcracker.yml"), "{shown}");
        assert!(!invalid.render(true).is_empty());
    }
});

fn check(pool: &Pool) {
    assert!(!pool.name.is_empty() && pool.server_connections > 0 && !pool.servers.is_empty());
    assert!(
        pool.servers
            .iter()
            .all(|server| server.weight > 0 && !server.name.is_empty())
    );
    let order =
        |a: &pools::Server, b: &pools::Server| (a.name.len(), &a.name) < (b.name.len(), &b.name);
    assert!(
        pool.servers.is_sorted_by(order),
        "two of one name, or out of order"
    );
    let cluster = Cluster::new(Plan::of(pool));
    assert!(!cluster.failed(0, 0) || pool.auto_eject_hosts);
}
