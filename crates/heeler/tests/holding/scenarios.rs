//! What must hold, whatever happens.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use heeler::command::{Grouping, Reply};
use heeler::holding::WriteAcks;
use heeler::store::{Copy, Store};

use crate::clients::{Clients, Ending, Op};
use crate::cluster::{Cluster, Machine, WALL_MS, command};
use crate::membership::number;

/// Runs a scenario with many seeds. One that fails says how to run it again.
pub fn with_seeds(name: &str, count: u64, scenario: impl Fn(u64)) {
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
    begin_with(seed, nodes, (replicas, write_acks), Clients::new(32, 60))
}

pub fn begin_with(
    seed: u64,
    nodes: usize,
    (replicas, write_acks): (usize, WriteAcks),
    mut clients: Clients,
) -> (Cluster, Clients) {
    let mut cluster = Cluster::new(seed, replicas, write_acks);
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

fn deadline(copy: &Copy) -> Option<u64> {
    copy.value.as_ref().and_then(|value| value.deadline)
}

/// What is under a key, sorted where it has no order.
pub fn content(store: &Store, now: u64, key: &str) -> String {
    let run = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        store.execute(now, &command(&words).as_command())
    };
    let reply = match format!("{:?}", run(&["TYPE", key])) {
        list if list.contains("list") => run(&["LRANGE", key, "0", "-1"]),
        hash if hash.contains("hash") => run(&["HGETALL", key]),
        zset if zset.contains("zset") => run(&["ZRANGE", key, "0", "-1", "WITHSCORES"]),
        set if set.contains("set") => run(&["SMEMBERS", key]),
        _ => run(&["GET", key]),
    };
    match reply {
        Reply::Map(mut pairs) => {
            pairs.sort_by_key(|pair| format!("{pair:?}"));
            format!("{pairs:?}")
        }
        Reply::Strings(all) if all.grouping() != Grouping::Array => {
            let each = if all.grouping() == Grouping::Map {
                2
            } else {
                1
            };
            let members: Vec<_> = all.iter().collect();
            let mut members: Vec<_> = members.chunks(each).collect();
            members.sort_unstable();
            format!("{members:?}")
        }
        Reply::Set(mut members) => {
            members.sort_by_key(|member| format!("{member:?}"));
            format!("{members:?}")
        }
        reply => format!("{reply:?}"),
    }
}

/// All copies of a key are equal, and only holders have one.
pub fn check_copies(cluster: &Cluster, clients: &Clients) {
    for key in clients.keys() {
        let (mut copies, mut contents) = (Vec::new(), Vec::new());
        for node in cluster.running() {
            let machine = cluster.machine(node);
            let ring = machine.members.view().ring;
            let holders = ring.lookup_n(key.as_bytes(), cluster.replicas);
            let is_holder = holders.iter().any(|it| number(it) == node);
            let copy = machine.store.export(WALL_MS + cluster.now, key.as_bytes());
            let copy = copy.filter(|copy| copy.value.is_some());
            if is_holder {
                contents.push(content(&machine.store, WALL_MS + cluster.now, key));
                copies.push(copy);
            } else {
                assert_eq!(copy, None, "{key} on {node}, which does not hold it");
            }
        }
        // Elements without order may lie in another one.
        let equal = |a: &Option<Copy>, b: &Option<Copy>| match (a, b) {
            (Some(a), Some(b)) => a.version == b.version && deadline(a) == deadline(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        assert!(
            copies.windows(2).all(|it| equal(&it[0], &it[1])),
            "{key}: {copies:?}"
        );
        assert!(
            contents.windows(2).all(|it| it[0] == it[1]),
            "{key}: {contents:?}"
        );
    }
}

/// What clients hold near them is what the owners of the keys have.
fn check_near_caches(cluster: &mut Cluster) {
    let nodes: Vec<usize> = cluster.running().collect();
    let now = WALL_MS + cluster.now;
    let mut held = std::mem::take(&mut cluster.held);
    for &node in &nodes {
        let machine = cluster.nodes[node].as_mut().expect("it runs");
        machine.store.expire_due(now + 400, usize::MAX);
        machine.near.listen(&mut held);
    }
    let machine = cluster.machine(nodes[0]);
    let ring = machine.members.view().ring;
    let mut all = vec![("by all", &held)];
    let nodes = nodes.iter().map(|&node| &cluster.machine(node).near.read);
    all.extend(nodes.map(|read| ("by who was asked", read)));
    for (how, held) in all {
        for (key, value) in held {
            let owner = ring.lookup_n(key.as_bytes(), 1);
            let owner = number(owner.first().expect("an owner"));
            let there = content(&cluster.machine(owner).store, now, key);
            assert_eq!(*value, there, "{key} of {owner}, told {how}");
        }
    }
}

pub fn end(cluster: &mut Cluster, clients: &mut Clients) {
    clients.finish(cluster);
    clients.settle(cluster, 60_000);
    // Until short-lived keys are dead by all clocks.
    clients.pause = true;
    clients.run(cluster, 1000);
    clients.pause = false;
    check_near_caches(cluster);
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
        // In a ring that is too small, to its owner, a write cannot be confirmed.
        while write_acks == WriteAcks::All && !all_are_members(&cluster) {
            clients.run(&mut cluster, 10);
        }
    }
    clients.run(&mut cluster, 1000);
    cluster.loss = 0.0;
    end(&mut cluster, &mut clients);
    assert!(clients.done > 200, "{} commands", clients.done);
    if loss == 0.0 {
        assert_eq!(clients.doubtful, 0, "nothing is in doubt");
    }
}

/// Whether each node that is to stay has all of them in its ring, and no others.
fn all_are_members(cluster: &Cluster) -> bool {
    let staying = cluster.running().map(|node| cluster.machine(node));
    let staying: Vec<_> = staying.filter(|machine| !machine.leaving).collect();
    let members = |machine: &Machine| machine.members.view().ring.members().len();
    staying
        .iter()
        .all(|machine| members(machine) == staying.len())
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
fn gentle_changes_with_all_replicas_lose_nothing() {
    let name = "gentle_changes_with_all_replicas_lose_nothing";
    with_seeds(name, 20, |seed| {
        gentle(seed, 2 + seed as usize % 2, WriteAcks::All, 0.0);
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

/// The highest time of a version that is held, in milliseconds after now.
fn versions_ahead(cluster: &Cluster, clients: &Clients) -> i64 {
    let now = WALL_MS + cluster.now;
    let stores = cluster.running().map(|node| &cluster.machine(node).store);
    let keys = || clients.keys().map(str::as_bytes);
    let versions = stores.flat_map(|store| keys().filter_map(|key| store.version(now, key)));
    versions
        .max()
        .map_or(0, |it| (it >> 20) as i64 - now as i64)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Clocks that are wrong for a while: of one node, of two, of all.
fn wrong_clocks(seed: u64) {
    let mut clients = Clients::new(32, 60);
    clients.lasting = true;
    let (mut cluster, mut clients) = begin_with(seed, 4, (3, WriteAcks::Quorum), clients);
    let wrong = [1, 1, 2, 4][cluster.below(4) as usize];
    let skew_ms = [3 * DAY_MS, 40 * 365 * DAY_MS, -3 * DAY_MS][cluster.below(3) as usize];
    let first = cluster.below(4) as usize;
    let wrong: Vec<usize> = (first..first + wrong).map(|node| node % 4).collect();
    let failed = |clients: &Clients| clients.refused + clients.doubtful;
    let (before, promised) = (failed(&clients), clients.done);
    for node in &wrong {
        cluster.set_clock(*node, skew_ms);
    }
    clients.run(&mut cluster, 3000);
    assert_eq!(failed(&clients), before, "no write has failed");
    // One more comes into the ring as it is, which may leave a write in doubt.
    if cluster.below(2) == 0 {
        cluster.start(4);
    }
    clients.run(&mut cluster, 1500);
    let before = failed(&clients);
    for node in &wrong {
        cluster.set_clock(*node, 0);
    }
    clients.run(&mut cluster, 3000);
    assert!(clients.done > promised + 100);
    assert!(failed(&clients) <= before + 1, "no write has failed since");
    clients.settle(&mut cluster, 60_000);
    if wrong.len() == 1 {
        let ahead = versions_ahead(&cluster, &clients);
        assert!(
            ahead <= 60_000,
            "versions follow the right clocks: {ahead} ms ahead"
        );
    }
    // What was written then is as good as all else.
    let node = cluster.below(4) as usize;
    cluster.crash(node);
    clients.run(&mut cluster, 4000);
    cluster.start(node);
    clients.settle(&mut cluster, 60_000);
    end(&mut cluster, &mut clients);
}

#[test]
fn clocks_that_are_wrong_by_days_lose_nothing_and_refuse_nothing() {
    let name = "clocks_that_are_wrong_by_days_lose_nothing_and_refuse_nothing";
    with_seeds(name, 24, wrong_clocks);
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

/// Replicas while the network loses, delays and parts; no node dies.
#[test]
fn copies_are_equal_after_a_bad_network() {
    with_seeds("copies_are_equal_after_a_bad_network", 20, |seed| {
        let (mut cluster, mut clients) = begin(seed, 3, 3, WriteAcks::One);
        for _ in 0..4 {
            cluster.loss = [0.0, 0.1, 0.3][cluster.below(3) as usize];
            cluster.delay_ms = [(1, 15), (1, 300)][cluster.below(2) as usize];
            if cluster.below(3) == 0 {
                let alone = cluster.below(3) as usize;
                cluster.sides = BTreeMap::from([(alone, 1)]);
                // Short enough that nobody is taken for dead.
                clients.run(&mut cluster, 400);
                cluster.sides.clear();
            }
            clients.run(&mut cluster, 600);
        }
        cluster.loss = 0.0;
        cluster.delay_ms = (1, 15);
        // Who was silent may have been doubted, and what it alone had written then be lost.
        clients.forget(|_| true);
        end(&mut cluster, &mut clients);
    });
}

/// Bytes that replicas are sent while these commands are executed one after the other, each told
/// of before the next.
fn replicated(cluster: &mut Cluster, commands: impl Iterator<Item = String>) -> u64 {
    let before = cluster.replicated;
    for (id, line) in commands.enumerate() {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let op = Op {
            id: id as u64,
            key: words[1].clone(),
            words,
            deadline: cluster.now + 2000,
            via: None,
        };
        cluster.submit(id % 3, op);
        while cluster.ended.is_empty() {
            cluster.run(1);
        }
        let (op, ending) = cluster.ended.remove(0);
        assert!(
            matches!(&ending, Ending::Done(reply) if !reply.is_error()),
            "{op:?}: {ending:?}"
        );
    }
    cluster.replicated - before
}

#[test]
fn what_is_sent_for_writes_to_one_collection_grows_with_their_number() {
    let lines: [fn(u64) -> String; 9] = [
        |n| format!("RPUSH list element{n:06}"),
        |n| format!("HSET hash field{n:06} value"),
        |n| format!("SADD set member{n:06}"),
        |n| format!("ZADD zset {n} member{n:06}"),
        |n| format!("APPEND text {n:06}element"),
        |n| format!("SETBIT bits {} 1", 50_000 - n),
        |n| format!("HINCRBYFLOAT hash field{n:06}x 1.5"),
        |_| "LMOVE list list LEFT RIGHT".to_owned(),
        |_| "SPOP set".to_owned(),
    ];
    for line in lines {
        let (mut cluster, mut clients) = begin(7, 3, 3, WriteAcks::Quorum);
        clients.finish(&mut cluster);
        clients.pause = true;
        clients.settle(&mut cluster, 30_000);
        let grow = |cluster: &mut Cluster, from| replicated(cluster, (from..from + 400).map(line));
        if line(0).starts_with("LMOVE") || line(0).starts_with("SPOP") {
            let fill = if line(0).starts_with('L') {
                lines[0]
            } else {
                lines[2]
            };
            replicated(&mut cluster, (0..1000).map(fill));
        }
        let (first, second) = (grow(&mut cluster, 0), grow(&mut cluster, 400));
        assert!(
            second < first + first / 4 + 4000,
            "{}: {first} bytes for 400, {second} for 400 more",
            line(0)
        );
        assert!(second < 400 * 2 * 150, "{}: {second} bytes", line(0));
        clients.settle(&mut cluster, 30_000);
        let key = line(0).split(' ').nth(1).expect("a key").to_owned();
        let now = WALL_MS + cluster.now;
        let all: Vec<String> = cluster
            .running()
            .map(|node| content(&cluster.machine(node).store, now, &key))
            .collect();
        assert!(
            all.len() == 3 && all.windows(2).all(|it| it[0] == it[1]),
            "{key}"
        );
    }
}
