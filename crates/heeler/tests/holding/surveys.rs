//! Surveys of a store that others write to.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use heeler::store::Store;

use crate::cluster::command;

const KEYS: usize = 200_000;

fn set(store: &Store, number: usize) {
    let words = ["SET".to_owned(), format!("key{number}"), "v".to_owned()];
    store.execute(1000, &command(&words).as_command());
}

#[test]
fn a_survey_misses_nothing_while_tables_grow() {
    let store = Store::new(7);
    store.keep_versions();
    (0..KEYS).for_each(|number| set(&store, number));
    let stops = AtomicBool::new(false);
    let mut seen = HashSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let more = KEYS..10 * KEYS;
            more.take_while(|_| !stops.load(Relaxed))
                .for_each(|number| set(&store, number));
        });
        let (mut next, mut answers) = (Some(0), 0);
        while let Some(from) = next {
            next = store.survey(from, usize::MAX, |it| seen.insert(it.key.to_vec()));
            answers += 1;
        }
        stops.store(true, Relaxed);
        assert!(answers > 5, "{answers} answers: none looks at all keys");
    });
    for number in 0..KEYS {
        assert!(
            seen.contains(format!("key{number}").as_bytes()),
            "key{number}"
        );
    }
}
