//! What a cluster must do, whatever happens to it.

use heeler_ring::RingHash;
use heeler_swim::{
    Answer, Command, Config, Event, Form, Healing, Lifeguard, Seeking, Status, Style,
};

use crate::network::{Network, Weather, address, quiet_config};

fn lifeguard(config: &mut Config) {
    config.lifeguard = Some(Lifeguard::default());
}

fn settled(network: &Network) -> bool {
    network.converged() && network.true_to_life()
}

/// A cluster that is up and quiet.
fn quiet(seed: u64, n: usize, configure: impl Fn(&mut Config)) -> Network {
    let mut network = Network::cold(seed, n, configure);
    network
        .until(50, 30_000, settled)
        .expect("a cluster at the start");
    network.until(500, 120_000, no_rumors).expect("quiet");
    network
}

fn no_rumors(network: &Network) -> bool {
    network.up().all(|(_, swim)| swim.rumors() == 0)
}

#[test]
fn a_cold_cluster_converges_to_one_checksum() {
    for (n, most_ms) in [(1, 0), (2, 500), (5, 1000), (50, 4000), (200, 4000)] {
        let mut network = Network::cold(n as u64, n, |_| {});
        let took = network.until(10, most_ms, settled);
        assert!(took.is_some(), "{n} members in {most_ms} ms");
    }
}

#[test]
fn a_thousand_members_know_each_other_from_the_lists_that_they_get() {
    let mut network = Network::warm(1, 1000, |_| {});
    network.until(100, 2000, settled).expect("convergence");
    network.crash(0);
    let gone = |it: &Network| it.everywhere(&address(0), Status::Faulty) && it.converged();
    network
        .until(100, 9000, gone)
        .expect("a dead member is faulty everywhere");
}

#[test]
fn a_dead_member_is_faulty_everywhere_within_the_bound() {
    // Found in less than a second, suspect for five, and told in another.
    for (n, most_ms) in [(3, 7000), (5, 7000), (50, 8000), (200, 8000)] {
        for guard in [false, true] {
            let mut network = Network::warm(n as u64, n, |config| {
                if guard {
                    lifeguard(config);
                }
            });
            network.until(100, 1000, settled).unwrap();
            network.crash(1);
            let gone = |it: &Network| it.everywhere(&address(1), Status::Faulty);
            // With Lifeguard, others have to confirm, which they do when it is their turn.
            let most_ms = if guard { 3 * most_ms } else { most_ms };
            let took = network.until(50, most_ms, gone);
            assert!(took.is_some(), "{n} members, Lifeguard {guard}");
            assert!(took.unwrap() >= 5000, "time to contradict: {took:?}");
        }
    }
}

#[test]
fn nobody_healthy_is_given_up_under_loss() {
    for (n, minutes) in [(5, 10), (50, 5), (200, 1)] {
        let mut network = Network::warm(n as u64, n, lifeguard);
        network.until(100, 1000, settled).unwrap();
        network.weather.loss = 0.05;
        network.healthy = (0..n).map(address).collect();
        network.run(minutes * 60_000);
        assert_eq!(network.false_positives, [], "{n} members");
        assert!(
            network.total("make-suspect") > 0 || n == 5,
            "the loss is felt: {n} members"
        );
        network.weather.loss = 0.0;
        network
            .until(100, 60_000, settled)
            .expect("convergence after the loss");
    }
}

#[test]
fn traffic_of_a_member_does_not_grow_with_the_ring() {
    let per_second = |n: usize| {
        let mut network = Network::warm(9, n, |_| {});
        network.run(15_000);
        assert!(no_rumors(&network), "{n} members");
        let before = network.bytes();
        network.run(10_000);
        assert_eq!(network.total("full-sync"), 0, "{n} members");
        (network.bytes() - before) as f64 / 10.0 / n as f64
    };
    let rates = [10, 100, 1000].map(per_second);
    assert!(rates[0] > 500.0, "pings flow: {rates:?}");
    assert!(
        rates
            .iter()
            .all(|rate| (rate / rates[0] - 1.0).abs() < 0.05),
        "{rates:?}"
    );
}

#[test]
fn halves_that_have_lost_each_other_meet_again() {
    let mut network = quiet(3, 10, |config| {
        config.healing = Some(Healing {
            period_ms: 5000,
            ..Healing::default()
        });
    });
    for node in 0..10 {
        network.set_seeds(node, (0..10).map(address).collect());
    }
    network.partition(|node| usize::from(node >= 4));
    let parted = |it: &Network| {
        let size = |node: usize| it.nodes[node].ring.len();
        (0..4).all(|node| size(node) == 4) && (4..10).all(|node| size(node) == 6)
    };
    network
        .until(100, 60_000, parted)
        .expect("each half is a cluster of its own");
    network.run(20_000);
    network.partition(|_| 0);
    network.until(100, 60_000, settled).expect("one cluster");
}

/// As stores are: whoever finds nobody begins alone, and looks for the others.
fn alone_if_need_be(config: &mut Config) {
    config.bootstrap.join_size = 1;
    config.bootstrap.alone_after_ms = Some(3000);
    config.healing = Some(Healing {
        seeking: Some(Seeking::default()),
        ..Healing::default()
    });
}

#[test]
fn rings_begun_alone_are_one_soon_after_they_can_be() {
    for (seed, n, hours) in [(30, 2, 0), (31, 3, 0), (32, 5, 1), (33, 12, 0)] {
        let mut network = Network::new(seed);
        for i in 0..n {
            let mut config = quiet_config(address(i));
            alone_if_need_be(&mut config);
            network.add(config, 0);
        }
        // Servers are up before their network is.
        network.partition(|node| node);
        for node in 0..n {
            network.set_seeds(node, (0..n).map(address).collect());
            network.start(node);
        }
        network.run(10_000 + hours * 3_600_000);
        assert!((0..n).all(|node| network.nodes[node].ring.len() == 1));
        network.partition(|_| 0);
        let took = network.until(50, 60_000, settled).expect("one ring");
        assert!(took <= 8_000, "{n} nodes took {took} ms");
    }
}

#[test]
fn who_comes_to_the_seed_of_another_ring_is_found_by_that() {
    // Two wait for a third that joins neither of them.
    let mut network = Network::new(34);
    for i in 0..4 {
        let mut config = quiet_config(address(i));
        alone_if_need_be(&mut config);
        let node = network.add(config, 0);
        network.set_seeds(node, vec![address(if i < 2 { 2 } else { 3 })]);
    }
    network.start(0);
    network.start(1);
    network.run(600_000);
    network.start(2);
    let whole = |it: &Network| it.nodes[0].ring.len() == 3 && settled(it);
    let took = network.until(50, 60_000, whole).expect("one ring");
    assert!(took <= 8_000, "{took} ms");
}

/// Each member has all as its seeds, and has been told to heal once.
fn all_look_for_all(network: &mut Network) {
    let count = network.nodes.len();
    for node in 0..count {
        network.set_seeds(node, (0..count).map(address).collect());
        network.command(node, 1, Command::Heal);
    }
}

#[test]
fn parted_halves_that_look_for_each_other_meet_soon() {
    let mut network = quiet(35, 6, alone_if_need_be);
    all_look_for_all(&mut network);
    network.partition(|node| node % 2);
    let parted = |it: &Network| (0..6).all(|node| it.nodes[node].ring.len() == 3);
    network.until(100, 60_000, parted).expect("two rings");
    network.partition(|_| 0);
    let took = network.until(50, 60_000, settled).expect("one ring");
    assert!(took <= 8_000, "{took} ms");
}

#[test]
fn a_seed_that_is_gone_for_good_costs_next_to_nothing() {
    let mut network = quiet(36, 10, alone_if_need_be);
    all_look_for_all(&mut network);
    network.run(10_000);
    assert!((0..10).all(|node| !network.nodes[node].counts.contains_key("heal.attempt")));
    network.crash(9);
    network.run(60_000);
    let before = network.total("heal.attempt");
    network.run(600_000);
    // Three members ask in each period, and as many for its own sake.
    let asked = network.total("heal.attempt") - before;
    assert!((60..=240).contains(&asked), "{asked}");
}

#[test]
fn a_healer_on_command_reaches_the_other_half() {
    let mut network = quiet(4, 6, |_| {});
    network.partition(|node| usize::from(node >= 3));
    network.run(30_000);
    network.partition(|_| 0);
    for node in 0..6 {
        network.set_seeds(node, (0..6).map(address).collect());
    }
    // First those who would be lost are suspected, and say that they are alive; then lists meet.
    for token in 0..2 {
        network.command(0, token, Command::Heal);
        network.run(4000);
        let done = network.nodes[0].done.last().cloned();
        assert!(
            matches!(done, Some((at, Ok(Answer::Targets(_)))) if at == token),
            "{done:?}"
        );
    }
    assert!(settled(&network));
}

#[test]
fn who_leaves_is_out_at_once_and_comes_back() {
    let mut network = quiet(5, 20, |_| {});
    network.command(7, 1, Command::Leave);
    let left = |it: &Network| it.everywhere(&address(7), Status::Leave);
    let took = network.until(10, 2000, left).expect("known everywhere");
    assert!(took < 1500, "no hole of seconds: {took}");
    assert_eq!(network.nodes[7].done, [(1, Ok(Answer::Done))]);
    network.run(60_000);
    assert!(left(&network), "it stays away, and is not taken for faulty");
    assert!((0..20).all(|node| !network.nodes[node].ring.contains(&address(7))));
    network.command(7, 2, Command::Rejoin);
    network.until(10, 3000, settled).expect("it is back");
}

#[test]
fn who_evicts_itself_is_faulty_everywhere_at_once() {
    let mut network = quiet(6, 20, |_| {});
    network.command(7, 1, Command::SelfEvict);
    network.run(20);
    assert_eq!(network.nodes[7].done, [(1, Ok(Answer::Done))]);
    assert!(network.nodes[7].events.contains(&Event::SelfEvicted));
    network.crash(7);
    let took = network.until(10, 3000, |it| it.everywhere(&address(7), Status::Faulty));
    assert!(took.expect("known everywhere") < 1500, "{took:?}");
}

#[test]
fn a_wrong_claim_is_refuted_whatever_the_clock_says() {
    for skew_ms in [-3_600_000, 3_600_000, -(24 * 3_600_000)] {
        let mut network = Network::cold(7, 6, |_| {});
        network.nodes[3].skew_ms = 0;
        network.until(50, 5000, settled).unwrap();
        // From now on its clock is wrong.
        network.nodes[3].skew_ms = skew_ms;
        network.pause(3);
        let suspect = |it: &Network| {
            it.up().any(|(_, swim)| {
                swim.member(&address(3))
                    .is_some_and(|it| it.status == Status::Suspect)
            })
        };
        network.until(10, 20_000, suspect).expect("it is suspected");
        network.resume(3);
        network
            .until(50, 30_000, settled)
            .expect("it says that it is alive");
        assert!(network.total("refuted-update") > 0);
    }
}

#[test]
fn who_was_stopped_for_long_is_taken_in_again() {
    let mut network = quiet(8, 5, |_| {});
    network.pause(2);
    let gone = |it: &Network| {
        [0, 1, 3, 4]
            .into_iter()
            .all(|node| !it.nodes[node].ring.contains(&address(2)))
    };
    network.until(100, 20_000, gone).expect("it is faulty");
    network.run(20_000);
    network.resume(2);
    network
        .until(100, 30_000, settled)
        .expect("all are together again");
}

#[test]
fn a_restart_under_the_same_address_is_known_also_with_a_clock_behind() {
    for skew_ms in [0, -600_000] {
        for wait_ms in [100, 20_000] {
            let mut network = quiet(10, 6, |_| {});
            network.crash(4);
            network.run(wait_ms);
            network.nodes[4].skew_ms = skew_ms;
            network.start(4);
            let back = network.until(50, 20_000, settled);
            assert!(
                back.is_some(),
                "after {wait_ms} ms, with a clock {skew_ms} ms off"
            );
        }
    }
}

#[test]
fn a_way_that_is_cut_in_one_direction_takes_nobody_out() {
    let mut network = quiet(11, 8, lifeguard);
    network.healthy = (0..8).map(address).collect();
    // One hears nobody's answers of two others; a third hears nothing of it.
    network.cuts.extend([(1, 0), (2, 0), (0, 3)]);
    network.run(120_000);
    assert_eq!(network.false_positives, []);
    network.cuts.clear();
    network.until(100, 60_000, settled).expect("convergence");
}

#[test]
fn messages_that_come_late_twice_and_in_any_order_do_no_harm() {
    let mut network = Network::cold(12, 30, |_| {});
    network.weather = Weather {
        loss: 0.02,
        duplication: 0.2,
        delay_ms: (1, 400),
    };
    network.until(100, 60_000, settled).expect("convergence");
}

#[test]
fn the_dead_are_forgotten() {
    let mut network = quiet(13, 10, |config| {
        (config.faulty_ms, config.tombstone_ms) = (10_000, 10_000);
    });
    network.crash(9);
    network.run(60_000);
    assert!(settled(&network));
    assert!(
        network
            .up()
            .all(|(_, swim)| swim.member(&address(9)).is_none())
    );
    assert!(no_rumors(&network));
}

#[test]
fn faulty_members_can_be_reaped() {
    let mut network = quiet(14, 10, |_| {});
    network.crash(9);
    network
        .until(100, 10_000, |it| it.everywhere(&address(9), Status::Faulty))
        .unwrap();
    network.command(0, 1, Command::Reap);
    assert_eq!(network.nodes[0].done, [(1, Ok(Answer::Reaped(1)))]);
    network.run(3000);
    assert!(network.everywhere(&address(9), Status::Tombstone));
    network.run(70_000);
    assert!(
        network
            .up()
            .all(|(_, swim)| swim.member(&address(9)).is_none())
    );
}

#[test]
fn members_of_all_forms_agree_and_fall_silent() {
    let forms = [
        (RingHash::Hash32V1, Style::Node),
        (RingHash::Hash32V1, Style::Go),
    ];
    let mut network = Network::new(15);
    for i in 0..10 {
        let (hash, style) = forms[i % 2];
        let config = Config {
            hash: Some(hash),
            style,
            ..quiet_config(address(i))
        };
        let node = network.add(config, 0);
        network.set_seeds(node, (0..3).map(address).collect());
        network.start(node);
    }
    network.until(50, 5000, settled).expect("convergence");
    network.run(30_000);
    let before = network.total("full-sync");
    network.run(60_000);
    assert_eq!(network.total("full-sync"), before);
}

#[test]
fn the_hash_function_is_that_of_the_cluster() {
    let mut network = quiet(16, 3, |config| config.hash = Some(RingHash::Hash32V1));
    let node = network.add(quiet_config(address(3)), 0);
    network.set_seeds(node, vec![address(0), address(1)]);
    network.start(node);
    network.until(50, 5000, settled).expect("it is one of them");
    assert_eq!(network.swim(3).hash(), RingHash::Hash32V1);
    assert_eq!(
        network.swim(3).form(),
        Form::new(RingHash::Hash32V1, Style::Node)
    );
}

#[test]
fn labels_reach_everybody_and_change() {
    let mut network = quiet(17, 10, |config| config.labels.set("zone", "a").unwrap());
    let zones = |it: &Network, node: usize| -> Vec<String> {
        let zone = |(_, swim): (usize, &heeler_swim::Swim)| {
            let labels = swim.member(&address(node)).unwrap().labels;
            labels
                .and_then(|labels| labels.get("zone").map(str::to_owned))
                .unwrap_or_default()
        };
        it.up().map(zone).collect()
    };
    assert!(zones(&network, 3).iter().all(|zone| zone == "a"));
    let mut labels = heeler_swim::Labels::default();
    labels.set("zone", "b").unwrap();
    network.command(3, 1, Command::SetLabels(labels));
    network.run(5000);
    assert!(zones(&network, 3).iter().all(|zone| zone == "b"));
    assert!(zones(&network, 4).iter().all(|zone| zone == "a"));
    assert!(settled(&network));
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = |seed| {
        let mut network = Network::cold(seed, 12, lifeguard);
        network.weather = Weather {
            loss: 0.1,
            duplication: 0.1,
            delay_ms: (1, 50),
        };
        network.run(10_000);
        let events: Vec<String> = network
            .nodes
            .iter()
            .flat_map(|it| &it.events)
            .map(|it| format!("{it:?}"))
            .collect();
        (network.bytes(), events)
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

/// Random faults for a minute, then none: all that run are together again.
#[test]
fn after_any_schedule_of_faults_calm_brings_agreement() {
    for seed in 0..40 {
        let mut network = Network::cold(seed, 9, |config| {
            config.healing = Some(Healing {
                period_ms: 4000,
                ..Healing::default()
            });
            if seed % 2 == 0 {
                lifeguard(config);
            }
        });
        for node in 0..9 {
            network.set_seeds(node, (0..9).map(address).collect());
        }
        network.run(3000);
        for _ in 0..20 {
            trouble(&mut network);
            let pause = network.random() % 5000;
            network.run(pause);
        }
        calm(&mut network);
        let took = network.until(200, 180_000, settled);
        assert!(took.is_some(), "seed {seed}");
    }
}

/// Something bad, or its end.
fn trouble(network: &mut Network) {
    let node = (network.random() % 9) as usize;
    let other = (network.random() % 9) as usize;
    let skew = (network.random() % 20_000) as i64 - 10_000;
    match network.random() % 9 {
        0 => network.crash(node),
        1 if !network.nodes[node].paused => network.pause(node),
        2 if network.nodes[node].paused => network.resume(node),
        3 => {
            network.nodes[node].skew_ms = skew;
            network.start(node);
        }
        4 => network.partition(|it| usize::from(it < node)),
        5 => network.sides.clear(),
        6 if node != other => {
            network.cuts.insert((node, other));
        }
        7 => network.weather.loss = (other as f64) / 20.0,
        8 if !network.nodes[node].paused => {
            network.command(node, 1, Command::Leave);
            network.run(1000);
            network.command(node, 2, Command::Rejoin);
        }
        _ => {}
    }
}

fn calm(network: &mut Network) {
    network.sides.clear();
    network.cuts.clear();
    network.weather.loss = 0.0;
    for node in 0..9 {
        if network.nodes[node].swim.is_none() {
            network.start(node);
        } else if network.nodes[node].paused {
            network.resume(node);
        }
        // A leave that was asked for in bad times may have been the last word.
        network.command(node, 3, Command::Rejoin);
    }
}
