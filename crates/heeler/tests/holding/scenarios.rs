//! What must hold, whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use heeler::holding::WriteAcks;

use crate::clients::Clients;
use crate::cluster::Cluster;
use crate::membership::number;

/// Runs a scenario with many seeds. One that fails says how to run it again.
fn with_seeds(name: &str, count: u64, scenario: impl Fn(u64)) {
    let variable = |name: &str| std::env::var(name).ok().and_then(|it| it.parse().ok());
    let seeds = match variable("HEELER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("HEELER_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
            eprintln!(
                "to see it again: HEELER_SEED={seed} cargo test -p heeler --test holding {name}"
            );
            resume_unwind(panic);
        }
    }
}

/// Nodes that know each other, and keys.
fn begin(seed: u64, nodes: usize, replicas: usize, write_acks: WriteAcks) -> (Cluster, Clients) {
    let mut cluster = Cluster::new(seed, replicas, write_acks);
    let mut clients = Clients::new(32, 60);
    clients.pause = true;
    for node in 0..nodes {
        cluster.start(node);
        clients.run(&mut cluster, 30);
    }
    clients.settle(&mut cluster, 30_000);
    clients.pause = false;
    clients.run(&mut cluster, 1500);
    (cluster, clients)
}

/// All copies of a key are equal, and only holders have one.
fn check_copies(cluster: &Cluster, clients: &Clients) {
    for key in clients.keys() {
        let mut copies = Vec::new();
        for node in cluster.running() {
            let machine = cluster.machine(node);
            let ring = machine.members.view().ring;
            let holders = ring.lookup_n(key.as_bytes(), cluster.replicas);
            let is_holder = holders.iter().any(|it| number(it) == node);
            let copy = machine
                .store
                .export(1_800_000_000_000 + cluster.now, key.as_bytes());
            let copy = copy.filter(|copy| copy.value.is_some());
            if is_holder {
                copies.push(copy);
            } else {
                assert_eq!(copy, None, "{key} on {node}, which does not hold it");
            }
        }
        assert!(
            copies.windows(2).all(|it| it[0] == it[1]),
            "{key}: {copies:?}"
        );
    }
}

fn end(cluster: &mut Cluster, clients: &mut Clients) {
    clients.finish(cluster);
    clients.settle(cluster, 60_000);
    // Until short-lived keys are dead by all clocks.
    clients.pause = true;
    clients.run(cluster, 1000);
    clients.pause = false;
    check_copies(cluster, clients);
    clients.read_all(cluster);
}

/// Nodes come and go in good order, in any order, while clients write.
fn gentle(seed: u64, replicas: usize, write_acks: WriteAcks, loss: f64) {
    let (mut cluster, mut clients) = begin(seed, 3, replicas, write_acks);
    cluster.loss = loss;
    let mut next = 3;
    for _ in 0..4 + cluster.below(4) {
        let staying: Vec<usize> = cluster
            .running()
            .filter(|node| !cluster.machine(*node).leaving)
            .collect();
        if staying.len() > replicas.max(2) && cluster.below(2) == 0 {
            let node = staying[cluster.below(staying.len() as u64) as usize];
            cluster.leave(node);
        } else if staying.len() < 7 {
            cluster.start(next);
            next += 1;
        }
        let pause = [0, 50, 300, 2000][cluster.below(4) as usize];
        clients.run(&mut cluster, pause);
    }
    clients.run(&mut cluster, 1000);
    cluster.loss = 0.0;
    end(&mut cluster, &mut clients);
    assert!(clients.done > 200, "{} commands", clients.done);
    if loss == 0.0 && replicas == 1 {
        assert_eq!(clients.doubtful, 0, "nothing is in doubt");
    }
}

#[test]
fn gentle_changes_lose_nothing() {
    with_seeds("gentle_changes_lose_nothing", 40, |seed| {
        gentle(seed, 1, WriteAcks::One, 0.0);
    });
}

#[test]
fn gentle_changes_lose_nothing_over_a_bad_network() {
    with_seeds(
        "gentle_changes_lose_nothing_over_a_bad_network",
        20,
        |seed| {
            gentle(seed, 1, WriteAcks::One, 0.05);
        },
    );
}

#[test]
fn gentle_changes_with_replicas_lose_nothing() {
    with_seeds("gentle_changes_with_replicas_lose_nothing", 20, |seed| {
        gentle(seed, 3, WriteAcks::Quorum, 0.0);
    });
}

#[test]
fn one_crash_at_a_time_loses_nothing_that_a_quorum_has() {
    with_seeds(
        "one_crash_at_a_time_loses_nothing_that_a_quorum_has",
        20,
        |seed| {
            let nodes = 4 + seed as usize % 2;
            let (mut cluster, mut clients) = begin(seed, nodes, 3, WriteAcks::Quorum);
            for _ in 0..3 {
                clients.run(&mut cluster, 500);
                let node = cluster.below(nodes as u64) as usize;
                cluster.crash(node);
                // It comes back empty: before it was missed, or after.
                let pause = [10, 200, 4000][cluster.below(3) as usize];
                clients.run(&mut cluster, pause);
                cluster.start(node);
                clients.settle(&mut cluster, 60_000);
            }
            end(&mut cluster, &mut clients);
        },
    );
}

/// Nodes die while keys are on their way. With one holder that takes the keys of which only they
/// had the newest copy, and no others.
fn sudden(seed: u64) {
    let (mut cluster, mut clients) = begin(seed, 4, 1, WriteAcks::One);
    // Else a node may forget what one has taken that is dead already.
    cluster.cuts_at_crash = true;
    let mut next = 4;
    for _ in 0..3 {
        for _ in 0..1 + cluster.below(2) {
            let staying: Vec<usize> = cluster
                .running()
                .filter(|node| !cluster.machine(*node).leaving)
                .collect();
            if staying.len() > 3 && cluster.below(2) == 0 {
                let node = staying[cluster.below(staying.len() as u64) as usize];
                cluster.leave(node);
            } else {
                cluster.start(next);
                next += 1;
            }
        }
        let pause = [20, 100, 300, 1000][cluster.below(4) as usize];
        clients.run(&mut cluster, pause);
        let running: Vec<usize> = cluster.running().collect();
        let node = running[cluster.below(running.len() as u64) as usize];
        clients.forget(|key| cluster.alone_has(node, key));
        cluster.crash(node);
        clients.run(&mut cluster, 200);
        clients.settle(&mut cluster, 60_000);
    }
    assert!(clients.known() > 0);
    end(&mut cluster, &mut clients);
}

#[test]
fn who_dies_takes_its_own_keys_only() {
    with_seeds("who_dies_takes_its_own_keys_only", 30, sudden);
}

/// A partition, with clients on both sides; what nobody wrote meanwhile is there after it.
fn parted(seed: u64, replicas: usize) {
    let (mut cluster, mut clients) = begin(seed, 5, replicas, WriteAcks::One);
    let border = 1 + cluster.below(4) as usize;
    cluster.sides = (0..5)
        .map(|node| (node, usize::from(node >= border)))
        .collect();
    clients.forget(|key| !key.starts_with("still"));
    let time = 500 + cluster.below(8000);
    clients.run(&mut cluster, time);
    cluster.sides.clear();
    if cluster.below(2) == 0 {
        cluster.start(5);
    }
    end(&mut cluster, &mut clients);
    assert_eq!(clients.known(), 60);
}

#[test]
fn halves_that_meet_again_have_equal_copies() {
    with_seeds("halves_that_meet_again_have_equal_copies", 30, |seed| {
        parted(seed, 1 + 2 * (seed as usize % 2));
    });
}
