//! Commands of any words on a store: each gets one reply, in both versions of the protocol, and
//! what is counted of keys is what there is.
#![no_main]

use heeler::command::{Flags, Id, OwnedCommand, Reply, Room, Spec, TABLE, is_container};
use heeler::store::Store;
use heeler::wire::resp::{Protocol, Scanner, encode};
use libfuzzer_sys::fuzz_target;

/// Numbers with more digits are left out: they would make values of hundreds of megabytes.
const DIGITS: usize = 6;

// Each line is a command: its first byte chooses a line of the table, its words follow.
fuzz_target!(|input: &[u8]| {
    let served: Vec<&'static Spec> = TABLE.iter().filter(|spec| is_served(spec)).collect();
    let store = Store::new(1);
    let mut now = 1_800_000_000_000;
    for line in input.split(|byte| *byte == b'\n') {
        let Some((&number, words)) = line.split_first() else {
            continue;
        };
        now += u64::from(number);
        let spec = served[usize::from(number) % served.len()];
        let name = [spec.name.as_bytes()];
        let words = words.split(|byte| *byte == b' ').filter(|w| is_small(w));
        let command = OwnedCommand::new(spec, name.into_iter().chain(words));
        if spec.accepts(command.as_command().len()) {
            check(&store.execute(now, &command.as_command()));
        }
    }
    let size = OwnedCommand::new(Id::Dbsize.spec(), ["DBSIZE"]);
    let keys = OwnedCommand::new(Id::Keys.spec(), ["KEYS", "*"]);
    let Reply::Array(keys) = store.execute(now, &keys.as_command()) else {
        panic!("no keys")
    };
    let size = store.execute(now, &size.as_command());
    assert!(matches!(size, Reply::Int(size) if size as usize >= keys.len()));
});

fn is_served(spec: &Spec) -> bool {
    let is_plain = !spec.flags.has(Flags::BLOCKING) && !spec.flags.has(Flags::HIDDEN);
    spec.room == Room::Store && is_plain && !is_container(spec) && !spec.name.contains('|')
}

fn is_small(word: &[u8]) -> bool {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits <= DIGITS && !word.eq_ignore_ascii_case(b"inf")
}

fn check(reply: &Reply) {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut bytes = Vec::new();
        encode(reply, protocol, &mut bytes);
        assert_eq!(Scanner::default().scan(&bytes), Ok(Some(bytes.len())));
    }
}
