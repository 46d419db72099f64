//! Letters of a node that has started anew since it wrote them.

use heeler::holding::{Ack, Answer, Ask, Input, Letter, Output, Update, WriteAcks};
use heeler::store::{Clearing, Copy, Store};

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
