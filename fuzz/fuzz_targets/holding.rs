//! What nodes say to each other about keys: whatever bytes come, they are refused, or are what
//! would be written again; and a copy or a change that is read changes a store or is refused.
#![no_main]

use heeler::holding::{Answer, Ask, Update, decode_answer, decode_ask, encode_answer, encode_ask};
use heeler::store::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let store = Store::new(1);
    store.keep_versions();
    store.keep_tombstones(true);
    let mut updates = Vec::new();
    if let Some((from, ask)) = decode_ask(bytes) {
        assert_eq!(encode_ask(&from, &ask), bytes);
        if let Ask::Keep(all) = ask.body {
            updates = all;
        }
    }
    if let Some(answer) = decode_answer(bytes) {
        assert_eq!(encode_answer(&answer), bytes);
        if let Answer::Fetched { copies: all, .. } = answer.body {
            updates = all.into_iter().map(Update::Copy).collect();
        }
    }
    let now = 1_800_000_000_000;
    for update in updates {
        match &update {
            Update::Copy(copy) => _ = store.import(now, copy),
            Update::Steps { key, base, steps } => _ = store.apply(now, key, *base, steps),
        }
        store.export(now, update.key());
    }
});
