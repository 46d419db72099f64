//! FLUSHALL: all nodes clear all keys away, while others are written.

use std::collections::BTreeSet;

use heeler::holding::WriteAcks;

use crate::clients::Clients;
use crate::cluster::{Cluster, TIMEOUT_MS};
use crate::membership::number;
use crate::scenarios::{begin_with, check_copies, end, with_seeds};

/// What a node is asked to do.
#[derive(Clone, Copy, Debug)]
enum Order {
    Announce(u64),
    Clear(u64),
}

/// What arrives at a time.
enum Mail {
    Asked(usize),
    /// With the highest version of before; `None` if no answer comes.
    Answered(usize, Option<u64>),
}

fn members(cluster: &Cluster, node: usize) -> BTreeSet<usize> {
    let ring = cluster.machine(node).members.view().ring;
    let members = ring.members().iter();
    members.map(|member| number(member.address())).collect()
}

fn leaving(cluster: &Cluster, node: usize) -> BTreeSet<usize> {
    let leaving = cluster.machine(node).members.view().leaving;
    leaving.iter().map(|address| number(address)).collect()
}

/// Has nodes do something, with all that happens meanwhile. The highest version that they have
/// told; `None` if one did not answer.
fn ask_all(
    cluster: &mut Cluster,
    clients: &mut Clients,
    (from, order): (usize, Order),
    nodes: &BTreeSet<usize>,
) -> Option<u64> {
    cluster.note(|| format!("{from} asks {nodes:?} to {order:?}"));
    let (mut mail, mut highest) = (Vec::new(), Some(0));
    let leaving = leaving(cluster, from);
    for to in nodes.union(&leaving).copied() {
        mail.push(match to != from && cluster.is_lost(from, to) {
            true => (cluster.now + TIMEOUT_MS, Mail::Answered(to, None)),
            false if to == from => (cluster.now, Mail::Asked(to)),
            false => (cluster.now + cluster.delay(), Mail::Asked(to)),
        });
    }
    while !mail.is_empty() {
        let (due, later): (Vec<_>, Vec<_>) =
            mail.into_iter().partition(|(at, _)| *at <= cluster.now);
        mail = later;
        for (_, it) in due {
            match it {
                Mail::Answered(to, None) if leaving.contains(&to) => {}
                Mail::Answered(_, told) => {
                    highest = highest.and_then(|all| told.map(|it| all.max(it)))
                }
                Mail::Asked(to) if cluster.nodes[to].is_none() => {
                    mail.push((cluster.now + 1, Mail::Answered(to, None)));
                }
                Mail::Asked(to) => {
                    let store = &cluster.machine(to).store;
                    let told = match order {
                        Order::Announce(version) => store.announce_clearing(version),
                        Order::Clear(version) => {
                            store.clear_up_to(version, false);
                            0
                        }
                    };
                    mail.push(match to != from && cluster.is_lost(to, from) {
                        true => (cluster.now + TIMEOUT_MS, Mail::Answered(to, None)),
                        false if to == from => (cluster.now, Mail::Answered(to, Some(told))),
                        false => (
                            cluster.now + cluster.delay(),
                            Mail::Answered(to, Some(told)),
                        ),
                    });
                }
            }
        }
        clients.run(cluster, 1);
    }
    highest
}

/// As the node does that got the command. Returns whether it answers OK.
fn flush_at(cluster: &mut Cluster, clients: &mut Clients, node: usize) -> bool {
    loop {
        let nodes = members(cluster, node);
        let store = cluster.machine(node).store.clone();
        let mut version = store.version_to_clear(cluster.wall_ms(node), 0);
        let announce = (node, Order::Announce(version));
        let Some(highest) = ask_all(cluster, clients, announce, &nodes) else {
            return false;
        };
        if highest > version {
            version = store.version_to_clear(cluster.wall_ms(node), highest);
            let announce = (node, Order::Announce(version));
            if ask_all(cluster, clients, announce, &nodes).is_none() {
                return false;
            }
        }
        if ask_all(cluster, clients, (node, Order::Clear(version)), &nodes).is_none() {
            return false;
        }
        if members(cluster, node).is_subset(&nodes) {
            return true;
        }
    }
}

/// A client asks for it, and again if it is told that it was not done.
fn flush(cluster: &mut Cluster, clients: &mut Clients) {
    for _ in 0..40 {
        let stays = |node: &usize| !cluster.machine(*node).leaving;
        let nodes: Vec<usize> = cluster.running().filter(stays).collect();
        let node = nodes[cluster.below(nodes.len() as u64) as usize];
        clients.begin_flush(cluster.now);
        let done = flush_at(cluster, clients, node);
        clients.end_flush(cluster.now, done);
        cluster.note(|| format!("FLUSHALL at {node}: {done}"));
        if done {
            return;
        }
        clients.run(cluster, 100);
    }
    panic!("it is never done");
}

/// Clocks differ by seconds. Nodes die right after the flush, and come back empty.
fn flushed(seed: u64, (replicas, write_acks): (usize, WriteAcks)) {
    let mut clients = Clients::new(32, 60);
    clients.lasting = true;
    let settings = (replicas, write_acks);
    let (mut cluster, mut clients) = begin_with(seed, 4, settings, clients);
    for node in 0..4 {
        let skew_ms = cluster.below(12_000) as i64 - 6000;
        cluster.set_clock(node, skew_ms);
    }
    clients.run(&mut cluster, 1000);
    for round in 0..3 {
        clients.settle(&mut cluster, 60_000);
        cluster.loss = [0.0, 0.0, 0.1][cluster.below(3) as usize];
        cluster.delay_ms = [(1, 15), (1, 120)][cluster.below(2) as usize];
        clients.run(&mut cluster, 100);
        let leaver = 10 + round;
        if cluster.below(2) == 0 {
            // It hands over what it has meanwhile.
            cluster.loss = 0.0;
            cluster.start(leaver);
            clients.settle(&mut cluster, 60_000);
            cluster.leave(leaver);
            let pause = [0, 20, 200][cluster.below(3) as usize];
            clients.run(&mut cluster, pause);
        }
        flush(&mut cluster, &mut clients);
        cluster.loss = 0.0;
        cluster.delay_ms = (1, 15);
        if cluster.below(2) == 0 {
            // One comes in whose clock is behind what was cleared, and leaves again.
            cluster.start(4 + round);
            cluster.set_clock(4 + round, -8000);
            clients.run(&mut cluster, 1500);
            clients.settle(&mut cluster, 60_000);
            cluster.leave(4 + round);
            clients.settle(&mut cluster, 60_000);
        }
        let pause = [0, 50, 500, 2000][cluster.below(4) as usize];
        clients.run(&mut cluster, pause);
        if write_acks != WriteAcks::One {
            let node = cluster.below(4) as usize;
            cluster.crash(node);
            let pause = [10, 4000][cluster.below(2) as usize];
            clients.run(&mut cluster, pause);
            cluster.start(node);
            let skew_ms = cluster.below(12_000) as i64 - 6000;
            cluster.set_clock(node, skew_ms);
        }
    }
    end(&mut cluster, &mut clients);
    assert!(clients.known() > 0 && clients.done > 200);
}

#[test]
fn what_is_written_after_a_flush_is_kept_and_what_was_before_stays_away() {
    let name = "what_is_written_after_a_flush_is_kept_and_what_was_before_stays_away";
    with_seeds(name, 24, |seed| {
        let settings = [
            (3, WriteAcks::Quorum),
            (3, WriteAcks::All),
            (1, WriteAcks::One),
        ];
        flushed(seed, settings[seed as usize % 3]);
    });
}

/// The halves of a ring are cleared, or one of them is, while the other goes on; then they meet.
fn flushed_apart(seed: u64) {
    let mut clients = Clients::new(32, 60);
    clients.lasting = true;
    let settings = (3, [WriteAcks::One, WriteAcks::Quorum][seed as usize % 2]);
    let (mut cluster, mut clients) = begin_with(seed, 5, settings, clients);
    for node in 0..5 {
        let skew_ms = cluster.below(12_000) as i64 - 6000;
        cluster.set_clock(node, skew_ms);
    }
    clients.settle(&mut cluster, 60_000);
    let border = 1 + cluster.below(4) as usize;
    cluster.sides = (0..5)
        .map(|node| (node, usize::from(node >= border)))
        .collect();
    clients.forget(|_| true);
    // Until each side takes the other for dead.
    let time = 4000 + cluster.below(4000);
    clients.run(&mut cluster, time);
    let node = cluster.below(5) as usize;
    flush_at(&mut cluster, &mut clients, node);
    let time = [0, 300, 3000][cluster.below(3) as usize];
    clients.run(&mut cluster, time);
    cluster.sides.clear();
    clients.finish(&mut cluster);
    clients.settle(&mut cluster, 60_000);
    check_copies(&cluster, &clients);
    // What is written from now on is as good as ever.
    clients.delete_all(&mut cluster);
    clients.run(&mut cluster, 1500);
    clients.settle(&mut cluster, 60_000);
    if settings.1 == WriteAcks::Quorum {
        let node = cluster.below(5) as usize;
        cluster.crash(node);
        clients.run(&mut cluster, 4000);
    }
    end(&mut cluster, &mut clients);
}

#[test]
fn halves_of_which_one_was_cleared_have_equal_copies_when_they_meet() {
    let name = "halves_of_which_one_was_cleared_have_equal_copies_when_they_meet";
    with_seeds(name, 24, flushed_apart);
}

/// A node that is not asked, for who asks takes it for dead, goes on as owner. Then it dies.
fn flushed_behind_a_back(seed: u64) {
    let mut clients = Clients::new(80, 12);
    clients.lasting = true;
    let settings = (3, [WriteAcks::All, WriteAcks::Quorum][seed as usize % 2]);
    let (mut cluster, mut clients) = begin_with(seed, 4, settings, clients);
    let unasked = cluster.below(4) as usize;
    let behind_ms = cluster.below(8000) as i64;
    cluster.set_clock(unasked, -behind_ms);
    cluster.delay_ms = [(1, 15), (1, 120)][cluster.below(2) as usize];
    clients.run(&mut cluster, 500);
    clients.begin_flush(cluster.now);
    // In one moment, while copies are on their way.
    let others: Vec<usize> = (0..4).filter(|node| *node != unasked).collect();
    let stores = || others.iter().map(|node| &cluster.machine(*node).store);
    let highest = stores().map(|store| store.highest_version()).max();
    let first = &cluster.machine(others[0]).store;
    let version = first.version_to_clear(cluster.wall_ms(others[0]), highest.unwrap_or(0));
    stores().for_each(|store| _ = store.announce_clearing(version));
    stores().for_each(|store| store.clear_up_to(version, false));
    clients.end_flush(cluster.now, false);
    let pause = [30, 100, 400, 3000][cluster.below(4) as usize];
    clients.run(&mut cluster, pause);
    cluster.crash(unasked);
    clients.run(&mut cluster, 4000);
    cluster.start(unasked);
    cluster.delay_ms = (1, 15);
    end(&mut cluster, &mut clients);
}

#[test]
fn an_owner_that_has_not_heard_of_a_flush_loses_nothing_it_has_acknowledged() {
    let name = "an_owner_that_has_not_heard_of_a_flush_loses_nothing_it_has_acknowledged";
    with_seeds(name, 24, flushed_behind_a_back);
}
