//! Letters of a node that has started anew since it wrote them.

use std::sync::Arc;

use heeler::holding::{
    Ack, Answer, Ask, Config, Grant, Holding, Input, Letter, Now, Output, Range, Update, View,
    WriteAcks,
};
use heeler::limits;
use heeler::route::Terms;
use heeler::store::{Clearing, Copy, Store};
use heeler_ring::{Member, Ring, RingHash};

use crate::clients::Clients;
use crate::cluster::{Cluster, WALL_MS, command};
use crate::membership::{address, number};
use crate::scenarios::begin_with;

/// What a node answers to another that has it keep a copy of a key.
fn keep(cluster: &mut Cluster, from: usize, life: u64, copy: Copy) -> Answer {
    let now = cluster.clock(1);
    let ask = Letter {
        life,
        wall_ms: now.wall_ms,
        clearing: Clearing::default(),
        body: Ask::Keep(vec![Update::Copy(copy)]),
    };
    let (from, token) = (address(from), 7);
    let mut out = Vec::new();
    let asked = Input::Asked { token, from, ask };
    cluster.machine_mut(1).holding.handle(now, asked, &mut out);
    let answer = out.into_iter().find_map(|output| match output {
        Output::Respond { token: 7, answer } => Some(answer.body),
        _ => None,
    });
    answer.expect("an answer")
}

fn holds(cluster: &Cluster, copy: &Copy) -> bool {
    let store = &cluster.machine(1).store;
    store.version(WALL_MS, &copy.key) == Some(copy.version)
}

/// It asked for all that was here when it started: what came later, it would never know of.
#[test]
fn what_comes_late_from_before_a_start_is_not_kept() {
    let settings = (3, WriteAcks::Quorum);
    let (mut cluster, _) = begin_with(1, 3, settings, Clients::new(1, 60));
    let ring = cluster.machine(1).members.view().ring;
    let owner = |key: &String| ring.lookup(key.as_bytes()).map(number) == Some(0);
    let mut keys = (0..).map(|i| format!("late{i}")).filter(owner);
    let mut copy = || {
        let store = Store::new(1);
        store.keep_versions();
        let key = keys.next().expect("a key");
        let words = ["SET".to_owned(), key.clone(), "v".to_owned()];
        store.execute(WALL_MS + 60_000, &command(&words).as_command());
        store
            .export(WALL_MS + 60_000, key.as_bytes())
            .expect("a copy")
    };
    let lives = [11, 12, 13];
    let kept = Answer::Kept(vec![Ack::Kept]);
    let refused = Answer::Kept(vec![Ack::Refused]);
    for (i, life) in lives.into_iter().enumerate() {
        let copy_of_now = copy();
        assert_eq!(keep(&mut cluster, 0, life, copy_of_now.clone()), kept);
        assert!(holds(&cluster, &copy_of_now));
        for past in &lives[..i] {
            let late = copy();
            assert_eq!(keep(&mut cluster, 0, *past, late.clone()), refused);
            assert!(!holds(&cluster, &late), "what life {past} has told");
        }
    }
}

/// What it had when it wrote that is gone: others may have more.
#[test]
fn a_grant_that_comes_late_from_before_a_start_is_no_word_for_all() {
    let mut ring = Ring::new(RingHash::Fingerprint32);
    ring.update([0, 1, 2].map(|node| Member::new(&*address(node))), &[]);
    let store = Arc::new(Store::new(1));
    store.keep_versions();
    let config = Config {
        me: address(1),
        terms: Terms::default(),
        replicas: 3,
        write_acks: WriteAcks::Quorum,
        pull_rate: 1 << 20,
        write_timeout_ms: 1000,
    };
    let mut holding = Holding::new(config, store, 1);
    let now = Now {
        ms: 1000,
        wall_ms: WALL_MS,
    };
    let mut out = Vec::new();
    let view = View {
        ring: Arc::new(ring),
        leaving: Default::default(),
        gone: Default::default(),
    };
    holding.handle(now, Input::View(view), &mut out);
    let claim_of = |out: &[Output], node: usize| {
        out.iter().find_map(|output| match output {
            Output::Send { id, to, ask } if *to == address(node) => match &ask.body {
                Ask::Claim { ranges, .. } => Some((*id, ranges.clone())),
                _ => None,
            },
            _ => None,
        })
    };
    let granted = |ranges: &[Range]| {
        let grant = |range: &Range| Grant {
            range: *range,
            whole: true,
            has_keys: true,
            also: Vec::new(),
        };
        Answer::Granted(ranges.iter().map(grant).collect())
    };
    let (id, ranges) = claim_of(&out, 0).expect("a claim");
    let (other, theirs) = claim_of(&out, 2).expect("a claim");
    let answer = Some(letter(21, granted(&theirs)));
    holding.handle(now, Input::Answered { id: other, answer }, &mut out);
    for life in [11, 12] {
        let ask = letter(life, Ask::Level(Vec::new()));
        let (token, from) = (life, address(0));
        holding.handle(now, Input::Asked { token, from, ask }, &mut out);
    }
    let answer = Some(letter(11, granted(&ranges)));
    holding.handle(now, Input::Answered { id, answer }, &mut out);
    out.clear();
    let later = Now { ms: 2000, ..now };
    holding.wake(later, &mut out);
    let (_, asked) = claim_of(&out, 2).expect("the other node is asked, too");
    assert_eq!(asked, ranges);
}

/// Senders name themselves: what is kept of them has to have a bound.
#[test]
fn of_nodes_that_are_no_members_few_are_remembered() {
    let (mut cluster, _) = begin_with(1, 2, (2, WriteAcks::One), Clients::new(1, 60));
    let now = cluster.clock(1);
    let mut out = Vec::new();
    for i in 0..2_000u64 {
        let ask = letter(7, Ask::Level(Vec::new()));
        let (token, from) = (i, format!("192.0.2.1:{i}").into());
        let holding = &mut cluster.machine_mut(1).holding;
        holding.handle(now, Input::Asked { token, from, ask }, &mut out);
        assert!(holding.known_nodes() <= limits::OUTSIDERS + 10);
    }
    let is_answer = |output: &&Output| matches!(output, Output::Respond { .. });
    assert_eq!(out.iter().filter(is_answer).count(), 2_000);
}

fn letter<T>(life: u64, body: T) -> Letter<T> {
    Letter {
        life,
        wall_ms: WALL_MS,
        clearing: Clearing::default(),
        body,
    }
}
