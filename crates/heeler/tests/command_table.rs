//! The command table and everything that is said from it, against a real redis-server.

mod oracle;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use heeler::command::pattern::matches;
use heeler::command::{
    Command, Flags, Id, Keys, OwnedCommand, Reply, Room, Spec, Split, TABLE, describe, find,
    resolve, subcommands,
};
use heeler::wire::resp::{Decoder, Protocol};
use oracle::{Redis, encode};
use servers::{Value, request};

/// Bytes that Redis answers to a request, errors and all, must be those that the table's own
/// functions make.
#[test]
fn unknown_words_and_wrong_numbers_of_arguments_get_the_texts_of_redis() {
    let mut redis = Redis::start(Protocol::Resp3);
    let a = |n: usize| "a".repeat(n);
    let long = [a(50), a(50), a(50), a(50)];
    let long: Vec<&[u8]> = long.iter().map(|a| a.as_bytes()).collect();
    for tail in 120..132 {
        same_error(
            &mut redis,
            &[b"foo", a(tail).as_bytes(), b"second", b"third"],
        );
    }
    for name in [1, 127, 128, 129, 1000] {
        same_error(&mut redis, &[a(name).as_bytes(), b"x"]);
        same_error(&mut redis, &[b"config", a(name).as_bytes(), b"x"]);
    }
    same_error(&mut redis, &[&[b"foo".as_slice()][..], &long].concat());
    let requests: &[&[&[u8]]] = &[
        &[b"foo"],
        &[b"foo", b"a", b"b"],
        &[b"", b""],
        &[b"foo", b"", b"b"],
        &[b"f\xffo", b"\x01\x80", b"it's \"q\""],
        &[b"a\0b", b"c\0d", b"e"],
        &[b"two\nlines\r", b"\r\n"],
        &["größe".as_bytes(), "ключ".as_bytes()],
        &[b"config|get", b"x"],
        &[b"config|get|x"],
        &[b"get|x", b"y"],
        &[b"ge"],
        &[b"gett", b"y"],
        &[b"CONFIG"],
        &[b"config", b"x"],
        &[b"Config", b"Zz", b"y"],
        &[b"config", b""],
        &[b"config", b"nosuch\0", b"x"],
        &[b"config", b"x\r\n\xff"],
        &[b"command", b"x"],
        &[b"config", b"get"],
        &[b"CoNfIg", b"GeT"],
        &[b"object", b"encoding"],
        &[b"object", b"encoding", b"a", b"b"],
        &[b"memory", b"usage"],
        &[b"get"],
        &[b"GET", b"a", b"b"],
        &[b"mset", b"a"],
        &[b"restore-asking", b"a"],
        &[b"BITFIELD_RO"],
    ];
    for request in requests {
        same_error(&mut redis, request);
    }
}

#[test]
fn names_are_found_in_any_case() {
    for spec in TABLE {
        for name in [spec.name.to_uppercase(), spec.name.to_lowercase()] {
            let words: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
            let found = resolve(words[0], words.get(1).copied());
            assert_eq!(found.map(|s| s.id), Ok(spec.id), "{name}");
        }
    }
}

/// Each of the ten elements of each command and subcommand: name, arity, flags, first and last key,
/// step, categories, tips, key specifications, subcommands.
#[test]
fn every_line_says_what_redis_says() {
    let mut redis = Redis::start(Protocol::Resp3);
    let theirs = by_name(&ask(&mut redis, &[b"COMMAND"]));
    let ours = by_name(&described(&[b"COMMAND"], |_| true));
    assert!(
        theirs.len() > 300,
        "redis-server tells of {} lines only",
        theirs.len()
    );
    let names = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    let hidden = TABLE.iter().filter(|s| s.flags.has(Flags::HIDDEN)).count();
    assert_eq!(ours.len(), TABLE.len() - hidden);
    for (name, line) in &theirs {
        assert_eq!(ours[name], *line, "{name}");
    }
}

#[test]
fn keys_and_their_uses_are_found_as_redis_finds_them() {
    let mut redis = Redis::start(Protocol::Resp3);
    for line in COMMAND_LINES {
        let words: Vec<&[u8]> = line
            .split(' ')
            .map(|w| w.trim_matches('"').as_bytes())
            .collect();
        for subcommand in [b"getkeys".as_slice(), b"GETKEYSANDFLAGS"] {
            let request = [&[b"COMMAND".as_slice(), subcommand], words.as_slice()].concat();
            let theirs = ask(&mut redis, &request);
            let ours = match OwnedCommand::resolve(&request) {
                Ok(command) => value(&describe(&command.as_command(), |_| true)),
                Err(reply) => value(&reply),
            };
            assert_eq!(sorted(ours), sorted(theirs), "{line}");
        }
    }
}

#[test]
fn lists_of_commands_are_those_of_redis() {
    let mut redis = Redis::start(Protocol::Resp3);
    let requests: &[&str] = &[
        "COMMAND COUNT",
        "COMMAND LIST",
        "command list filterby module json",
        "COMMAND LIST FILTERBY ACLCAT nosuch",
        "COMMAND LIST FILTERBY ACLCAT @geo",
        "COMMAND LIST FILTERBY ACLCAT GEO",
        "COMMAND LIST FILTERBY ACLCAT dangerous",
        "COMMAND LIST FILTERBY PATTERN *",
        "COMMAND LIST FILTERBY PATTERN GE[a-t]*",
        "COMMAND LIST FILTERBY PATTERN config|*",
        "COMMAND LIST FILTERBY PATTERN nosuch*",
        "COMMAND LIST FILTERBY PATTERN a b",
        "COMMAND LIST FILTERBY nosuch a",
        "COMMAND LIST FILTERBY",
        "COMMAND LIST nosuch",
        "COMMAND INFO",
    ];
    for line in requests {
        let request: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let ours = described(&request, |_| true);
        let theirs = ask(&mut redis, &request);
        assert_eq!(sorted_throughout(ours), sorted_throughout(theirs), "{line}");
    }
}

#[test]
fn commands_are_described_in_the_order_asked() {
    let mut redis = Redis::start(Protocol::Resp3);
    for line in [
        "COMMAND INFO get SET config|get",
        "COMMAND INFO nosuch get get|x config|nosuch config|get|x |get object|ENCODING",
    ] {
        let request: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let ours = described(&request, |_| true);
        assert_eq!(sorted(ours), sorted(ask(&mut redis, &request)), "{line}");
    }
}

#[test]
fn help_in_words_has_the_facts_of_redis() {
    let mut redis = Redis::start(Protocol::Resp3);
    for request in [
        &[b"COMMAND".as_slice(), b"DOCS"][..],
        &[
            b"command",
            b"docs",
            b"GET",
            b"nosuch",
            b"config|get",
            b"object",
        ],
        &[b"command", b"docs", b"nosuch"],
    ] {
        let theirs = docs_by_name(&ask(&mut redis, request));
        let ours = docs_by_name(&described(request, |_| true));
        let names = |of: &BTreeMap<String, Doc>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs));
        for (name, doc) in &theirs {
            let own = &ours[name];
            assert_eq!(own["since"], doc["since"], "{name}");
            assert_eq!(own["group"], doc["group"], "{name}");
            assert!(
                !own["summary"].is_empty() && own["summary"].len() <= 80,
                "{name}"
            );
            let complexity = own.get("complexity").map_or("", String::as_str);
            let theirs = doc.get("complexity").map_or("", String::as_str);
            assert!(
                theirs.starts_with(complexity),
                "{name}: {complexity}, {theirs}"
            );
        }
    }
}

/// What clients show and complete by, and what Redis advises.
#[test]
fn help_in_words_has_the_arguments_of_redis() {
    const FACTS: [&[u8]; 4] = [
        b"doc_flags",
        b"deprecated_since",
        b"replaced_by",
        b"arguments",
    ];
    fn facts(docs: &Value, found: &mut BTreeMap<String, Vec<(Value, Value)>>) {
        let Value::Map(docs) = docs else {
            panic!("no map of commands: {docs:?}")
        };
        for (name, facts_of) in docs {
            let Value::Map(all) = facts_of else {
                panic!("no command: {facts_of:?}")
            };
            let is_one =
                |(name, _): &&(Value, Value)| FACTS.iter().any(|of| *name == Value::bulk(of));
            found.insert(name.text(), all.iter().filter(is_one).cloned().collect());
            let parts = all
                .iter()
                .find(|(name, _)| *name == Value::bulk("subcommands"));
            parts.into_iter().for_each(|(_, parts)| facts(parts, found));
        }
    }
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    let mut redis = Redis::start(Protocol::Resp3);
    let request = [&b"COMMAND"[..], b"DOCS"];
    facts(&described(&request, |_| true), &mut ours);
    facts(&ask(&mut redis, &request), &mut theirs);
    assert!(theirs.len() > 350, "{}", theirs.len());
    for (name, facts) in &theirs {
        assert_eq!(&ours[name], facts, "{name:?}");
    }
}

#[test]
fn a_door_tells_only_of_what_it_serves() {
    let door = |spec: &Spec| matches!(spec.id, Id::Get | Id::ConfigGet | Id::CommandCount);
    let names = |of: &[&str]| {
        let names = of.iter().map(Value::bulk);
        Value::Array(names.collect())
    };
    let ask = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        described(&words, door)
    };
    assert_eq!(ask("COMMAND COUNT"), Value::Int(3));
    let lines = ["get", "command", "command|count", "config", "config|get"];
    assert_eq!(ask("COMMAND LIST"), names(&lines));
    assert_eq!(by_name(&ask("COMMAND")).len(), 5);
    assert_eq!(docs_by_name(&ask("COMMAND DOCS")).len(), 5);
    assert_eq!(by_name(&ask("COMMAND INFO config")).len(), 2);
    assert_eq!(ask("COMMAND INFO set"), Value::Array(vec![Value::Null]));
    assert_eq!(ask("COMMAND DOCS set"), Value::Map(vec![]));
    let refused = Value::Error("ERR Invalid command specified".into());
    assert_eq!(ask("COMMAND GETKEYS set a b"), refused);
    assert_eq!(ask("COMMAND GETKEYS get a"), names(&["a"]));
}

#[test]
fn a_door_answers_what_it_does_not_serve_as_if_it_were_not_in_the_table() {
    let served = |spec: &Spec| matches!(spec.id, Id::Get | Id::ConfigGet);
    let table: &[(&str, &str)] = &[
        (
            "Dump k",
            "ERR unknown command 'Dump', with args beginning with: 'k' ",
        ),
        (
            "dump",
            "ERR unknown command 'dump', with args beginning with: ",
        ),
        (
            "config set a b",
            "ERR unknown subcommand 'set'. Try CONFIG HELP.",
        ),
        (
            "config nosuch",
            "ERR unknown subcommand 'nosuch'. Try CONFIG HELP.",
        ),
        (
            "config get",
            "ERR wrong number of arguments for 'config|get' command",
        ),
        (
            "acl nosuch",
            "ERR unknown command 'acl', with args beginning with: 'nosuch' ",
        ),
        (
            "acl whoami",
            "ERR unknown command 'acl', with args beginning with: 'whoami' ",
        ),
        ("get", "ERR wrong number of arguments for 'get' command"),
    ];
    for (line, text) in table {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let request = request(&words);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&request), Ok(Some(request.len())));
        let (raw, args) = decoder.request(&request);
        let refused = Command::resolve_for(raw, args, served).unwrap_err();
        assert_eq!(refused, Reply::error(*text), "{line}");
        if let Ok(command) = Command::resolve(raw, args)
            && !served(command.spec)
        {
            assert_eq!(command.unknown(served), refused, "{line}");
        }
    }
}

/// A proxy can spread a command over servers only by what the table says of its keys.
#[test]
fn every_split_fits_the_keys() {
    for spec in TABLE {
        let run = matches!(spec.keys, Keys::Range(1, -1, _));
        let keyless = spec.keys == Keys::Keyless;
        let fits = match spec.split {
            Split::Sum => run && spec.uses.len() == 1,
            Split::Gather => matches!(spec.keys, Keys::Range(_, -1, 1)),
            Split::AllOk => spec.keys == Keys::Range(1, -1, 2),
            Split::Whole => !keyless || spec.is_container(),
            Split::EverySum
            | Split::EveryGather
            | Split::EveryOk
            | Split::EverySame
            | Split::EveryLeast
            | Split::EveryAny
            | Split::Scan
            | Split::Here => keyless,
            Split::Never => true,
        };
        assert!(fits, "{}: {:?} with {:?}", spec.name, spec.split, spec.keys);
        let blocks = spec.flags.has(Flags::BLOCKING) && spec.split != Split::Never;
        assert!(!blocks, "{} would hold up a shared connection", spec.name);
    }
}

#[test]
fn a_container_is_served_where_one_of_its_subcommands_is() {
    for spec in TABLE.iter().filter(|s| s.is_container()) {
        let parts = subcommands(spec);
        let on_node = parts.iter().any(|s| s.room != Room::Absent);
        assert_eq!(
            spec.room != Room::Absent,
            on_node,
            "{} on a node",
            spec.name
        );
        let on_proxy = parts.iter().any(|s| s.split != Split::Never);
        assert_eq!(
            spec.split != Split::Never,
            on_proxy,
            "{} on a proxy",
            spec.name
        );
    }
}

/// Patterns made at random from the bytes that mean something, each asked of `KEYS` and of
/// `COMMAND`'s own matcher.
#[test]
fn patterns_match_what_they_match_in_redis() {
    const BYTES: &[u8] = b"aabbcAZ**?[]^-\\\x80\xff";
    let mut redis = Redis::start(Protocol::Resp3);
    let mut random = fastrand::Rng::with_seed(1);
    let mut draw = |below: usize| random.usize(..below);
    let mut word = |longest: usize| -> Vec<u8> {
        (0..draw(longest + 1))
            .map(|_| BYTES[draw(BYTES.len())])
            .collect()
    };
    let mut matched = 0;
    for _ in 0..200 {
        let keys: BTreeSet<Vec<u8>> = (0..20).map(|_| word(5)).collect();
        ask(&mut redis, &[b"FLUSHALL"]);
        for key in &keys {
            ask(&mut redis, &[b"SET", key, b""]);
        }
        for _ in 0..50 {
            let pattern = word(8);
            let fits = keys.iter().filter(|key| matches(&pattern, key, false));
            let ours: Vec<Value> = fits.cloned().map(Value::Bulk).collect();
            matched += ours.len();
            let theirs = ask(&mut redis, &[b"KEYS", &pattern]);
            assert_eq!(
                sorted_throughout(Value::Array(ours)),
                sorted_throughout(theirs),
                "{:?}",
                pattern.escape_ascii()
            );
        }
    }
    assert!(matched > 1000, "the patterns match {matched} keys only");
}

/// Command lines whose keys are asked of the server.
const COMMAND_LINES: &[&str] = &[
    "get a",
    "GET a b",
    "set a b",
    "set a b get",
    "set a b GET ex 1",
    "nosuch a",
    "mset a 1 b 2",
    "mset a 1 b",
    "msetnx a 1",
    "mget a",
    "del a b c",
    "touch a a",
    "getex a",
    "lcs a b len",
    "bitop and d a b",
    "bitop not d a",
    "bitfield a get u8 0",
    "bitfield a get u8 0 set u8 0 1",
    "bitfield a overflow sat get u8 0",
    "bitfield a incrby u8 0 1",
    "bitfield_ro a get u8 0",
    "rename a b",
    "copy a b db 1",
    "object encoding k",
    "object help",
    "object nosuch",
    "memory usage k samples 3",
    "dump k",
    "restore-asking k 0 x",
    "sort a",
    "sort a store b store c",
    "sort a limit 0 store b",
    "sort a LIMIT 0 1 STORE b",
    "sort a get store store b",
    "sort a by store store b get #",
    "sort a store",
    "sort a limit store",
    "sort_ro a store b",
    "migrate h 1 k 0 1",
    r#"migrate h 1 "" 0 1 keys a b"#,
    r#"migrate h 1 "" 0 1 copy replace KEYS a"#,
    r#"migrate h 1 "" 0 1 auth keys keys a"#,
    r#"migrate h 1 "" 0 1 auth2 keys keys keys a"#,
    r#"migrate h 1 "" 0 1 copy"#,
    "migrate h 1 k 0 1 keys a",
    r#"migrate h 1 "" 0 1 keys"#,
    r#"migrate h 1 "" 0 1 nosuch keys a"#,
    "lmpop 2 a b left",
    "lmpop 3 a b left",
    "blmpop 0 2 a b left",
    "blpop a b 0",
    "blpop a 0",
    "brpoplpush a b 0",
    "lmove a b left right",
    "smove a b c",
    "sintercard 1 a",
    "sdiffstore d a b",
    "sinterstore d a",
    "zunionstore d 2 a b",
    "zunionstore d 3 a b",
    "zunionstore d x a b",
    "zunionstore d 0 a b",
    "zunionstore d -1 a b",
    "zunionstore d 99999999999999999999 a",
    "zdiff 2 a b",
    "zdiff 1 a b",
    "zinter 2 a",
    "zintercard 2 a b limit 1",
    "zmpop 1 a min",
    "bzmpop 0 1 a min",
    "bzpopmin a b c 0",
    "zrangestore d s 0 1",
    "pfcount a b",
    "pfmerge d a b",
    "pfdebug encoding k",
    "geosearchstore d s fromlonlat 1 2 byradius 1 m",
    "georadius k 1 2 3 m",
    "georadius k 1 2 3 m store a",
    "georadius k 1 2 3 m StoreDist a",
    "georadius k 1 2 3 m store",
    "georadius k 1 2 3 m store store",
    "georadius k 1 2 3 m store store x",
    "georadius_ro k 1 2 3 m store a",
    "georadiusbymember k m 1 km store a",
    "georadiusbymember k store 2 m store a",
    "georadiusbymember store m 1 km",
    "xread count 1 streams a b 0 0",
    "xread streams a b 0",
    "xread streams a",
    "xread block 0 count 1 a",
    "xread nosuch STREAMS a b",
    "xread streams streams streams",
    "xreadgroup group g c streams a >",
    "xreadgroup group g c count 1 noack streams a b > >",
    "xreadgroup group streams c streams a >",
    "xgroup create k g 0",
    "xinfo stream k full",
    "watch a b",
    "eval s 2 a b c",
    "eval s 3 a b",
    "eval s 0",
    "eval s -1 a",
    "eval s x a",
    "eval_ro s 1 a",
    "evalsha s 1 a",
    "fcall f 2 a b",
    "ssubscribe a b",
    "spublish a b",
    "publish a b",
    "config get x",
    "command info x",
    "ping x",
    "scan 0",
    "swapdb 0 1",
    "get",
    "config",
];

/// What this house says to a request that the table knows.
fn described(words: &[&[u8]], served: impl Fn(&Spec) -> bool) -> Value {
    let command = OwnedCommand::resolve(words).expect("a request that the table knows");
    value(&describe(&command.as_command(), served))
}

/// The entries of `COMMAND`'s answer by name, subcommands beside their containers, sets sorted.
fn by_name(entries: &Value) -> BTreeMap<String, Value> {
    let Value::Array(entries) = entries else {
        panic!("no array of commands: {entries:?}")
    };
    let mut lines = BTreeMap::new();
    for entry in entries {
        let Value::Array(elements) = entry else {
            panic!("no command: {entry:?}")
        };
        let [Value::Bulk(name), .., parts] = elements.as_slice() else {
            panic!("no command: {elements:?}")
        };
        let name = String::from_utf8_lossy(name).into_owned();
        if let Value::Array(_) = parts {
            lines.extend(by_name(parts));
        }
        let line = sorted(Value::Array(elements[..9].to_vec()));
        assert!(
            lines.insert(name.clone(), line).is_none(),
            "{name} is there twice"
        );
    }
    lines
}

type Doc = BTreeMap<String, String>;

/// The texts of `COMMAND DOCS`'s answer by name, subcommands beside their containers.
fn docs_by_name(docs: &Value) -> BTreeMap<String, Doc> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Value::Map(docs) = docs else {
        panic!("no map of commands: {docs:?}")
    };
    let mut found = BTreeMap::new();
    for (name, facts) in docs {
        let (Value::Bulk(name), Value::Map(facts)) = (name, facts) else {
            panic!("no command: {name:?} {facts:?}")
        };
        let mut doc = Doc::new();
        for (fact, value) in facts {
            match (fact, value) {
                (Value::Bulk(fact), Value::Bulk(value)) => {
                    doc.insert(text(fact), text(value));
                }
                (Value::Bulk(fact), parts) if fact == b"subcommands" => {
                    found.extend(docs_by_name(parts));
                }
                _ => {}
            }
        }
        found.insert(text(name), doc);
    }
    found
}

/// The index by which a name is found must not take one name for another.
#[test]
fn a_name_with_one_wrong_byte_is_not_found() {
    let known = |name: &[u8]| {
        TABLE
            .iter()
            .find(|s| !s.is_subcommand() && s.name.as_bytes().eq_ignore_ascii_case(name))
    };
    let check = |name: &[u8]| {
        let found = find(name).map(|s| s.id);
        assert_eq!(
            found,
            known(name).map(|s| s.id),
            "{:?}",
            name.escape_ascii()
        );
    };
    for spec in TABLE {
        let name = spec.name.as_bytes();
        for at in 0..name.len() {
            let near = (0..8).map(|bit| name[at] ^ (1 << bit));
            for byte in near.chain([0, b'|', 0xff]) {
                let mut wrong = name.to_vec();
                wrong[at] = byte;
                check(&wrong);
            }
            check(&name[..at]);
            check(&name[at..]);
        }
        check(&[name, b"\0"].concat());
        check(&[name, name].concat());
    }
}

/// What the house says, as it comes off the wire.
fn value(reply: &Reply) -> Value {
    Value::parse(&encode(reply, Protocol::Resp3))
}

/// The same, with sets and maps in one order; arrays keep theirs.
fn sorted(value: Value) -> Value {
    match value {
        Value::Set(of) => Value::Set(in_order(of.into_iter().map(sorted))),
        Value::Array(of) => Value::Array(of.into_iter().map(sorted).collect()),
        Value::Map(of) => {
            let of = of.into_iter().map(|(k, v)| (sorted(k), sorted(v)));
            Value::Map(in_order(of))
        }
        single => single,
    }
}

/// The same, with arrays in one order too: for lists that Redis gives in the order of its hash
/// table.
fn sorted_throughout(value: Value) -> Value {
    match sorted(value) {
        Value::Array(of) => Value::Array(in_order(of.into_iter().map(sorted_throughout))),
        other => other,
    }
}

fn in_order<T: Debug>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_by_cached_key(|value| format!("{value:?}"));
    values
}

fn ask(redis: &mut Redis, words: &[&[u8]]) -> Value {
    Value::parse(&redis.call(words))
}

fn same_error(redis: &mut Redis, words: &[&[u8]]) {
    let theirs = redis.call(words);
    let ours = OwnedCommand::resolve(words).expect_err("a request that Redis refuses");
    assert!(ours.is_error());
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let ours = encode(&ours, Protocol::Resp3);
    assert_eq!(
        shown(&ours),
        shown(&theirs),
        "{}",
        shown(&words.join(&b' '))
    );
}

/// The chapter about the Redis door names each command that redis-server has and a store has not.
#[test]
fn the_documentation_lists_the_commands_that_are_not_there() {
    let mut redis = Redis::start(Protocol::Resp3);
    let Value::Array(theirs) = ask(&mut redis, &[b"COMMAND", b"LIST"]) else {
        panic!("no list")
    };
    let names = theirs.iter().map(|name| match name {
        Value::Bulk(name) => String::from_utf8_lossy(name).into_owned(),
        other => panic!("no name: {other:?}"),
    });
    let is_absent = |name: &String| {
        let spec = find(name.as_bytes());
        !name.contains('|') && spec.is_none_or(|spec| spec.room == Room::Absent)
    };
    let absent: BTreeSet<String> = names.filter(is_absent).collect();
    let path = format!("{}/../../docs/src/redis.md", env!("CARGO_MANIFEST_DIR"));
    let chapter = std::fs::read_to_string(path).unwrap();
    let (_, section) = chapter
        .split_once("\n## Commands that are not there\n")
        .unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2));
    let words = words.filter(|word| {
        word.chars()
            .all(|c| c.is_ascii_uppercase() || "_-".contains(c))
    });
    let listed: BTreeSet<String> = words.map(str::to_lowercase).collect();
    assert_eq!(listed, absent);
}
