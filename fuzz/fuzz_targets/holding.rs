//! What nodes say to each other about keys: whatever bytes come, they are refused, or are what
//! would be written again; and a copy that is read changes a store or is refused.
#![no_main]

use heeler::holding::{Answer, Ask, decode_answer, decode_ask, encode_answer, encode_ask};
use heeler::store::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let store = Store::new(1);
    store.keep_versions();
    store.keep_tombstones(true);
    let mut copies = Vec::new();
    if let Some((from, ask)) = decode_ask(bytes) {
        assert_eq!(encode_ask(&from, &ask), bytes);
        if let Ask::Keep(all) = ask.body {
            copies = all;
        }
    }
    if let Some(answer) = decode_answer(bytes) {
        assert_eq!(encode_answer(&answer), bytes);
        if let Answer::Fetched { copies: all, .. } = answer.body {
            copies = all;
        }
    }
    for copy in copies {
        store.import(1_800_000_000_000, &copy);
        store.export(1_800_000_000_000, &copy.key);
    }
});
