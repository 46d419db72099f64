//! Random requests, to a real memcached and to Heeler: equal answers.
//!
//! A number for cas is another one on each server. So each is named after the place where it first
//! came up, and a request that needs one is given each server's own.

use std::fmt::Write;
use std::ops::RangeInclusive;

use crate::Node;
use crate::servers::{Client, Cluster, Memcached};

const SEEDS: u64 = 2500;
const RING_SEEDS: u64 = 300;
const REQUESTS: usize = 25;

struct Random(fastrand::Rng);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *self.0.choice(choices).expect("something to choose from")
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A server, and the numbers for cas that it has told, in the order in which they came up.
struct Side {
    /// Whoever is asked in turn.
    clients: Vec<Client>,
    told: Vec<(String, u64)>,
}

impl Side {
    fn new(ports: &[u16]) -> Side {
        let connect = |&port: &u16| Client::connect(("127.0.0.1", port));
        Side {
            clients: ports.iter().map(connect).collect(),
            told: Vec::new(),
        }
    }

    /// Asks with `{i}` as the number for cas that came up as the `i`th; the answer has such names,
    /// too.
    fn ask(&mut self, request: &str) -> String {
        let mut sent = String::new();
        for (i, part) in request.split(['{', '}']).enumerate() {
            match i % 2 {
                0 => sent += part,
                _ => {
                    let place: usize = part.parse().unwrap();
                    let _ = write!(sent, "{}", self.told.get(place).map_or(1, |(_, cas)| *cas));
                }
            }
        }
        self.clients.rotate_left(1);
        let client = &mut self.clients[0];
        client.send(sent.as_bytes());
        // What comes after it tells that the answer is whole.
        client.send(b"mn\r\n");
        let answer = client.read_until(b"MN\r\n");
        let key = request.split([' ', '\r']).nth(1).unwrap_or_default();
        self.named(key, &String::from_utf8(answer).unwrap())
    }

    /// Whether a memcached (1.6.18) has refused to count on from a number past the greatest signed
    /// one: it looks for a minus behind such a number's end, too, where other items have been.
    fn mistakes_a_number(&mut self, request: &str, answer: &str) -> bool {
        let key = request.split([' ', '\r']).nth(1).unwrap_or_default();
        let shown = self.ask(&format!("get {key}\r\n"));
        let value = shown.split("| ").nth(1).and_then(|it| it.split(' ').next());
        let number = value.and_then(|it| it.parse::<u64>().ok());
        answer.contains("non-numeric") && number.is_some_and(|it| i64::try_from(it).is_err())
    }

    fn named(&mut self, key: &str, answer: &str) -> String {
        let mut named = String::new();
        let mut lines = answer.split_inclusive("\r\n");
        while let Some(line) = lines.next() {
            let line = line.trim_end();
            let is_value = line.starts_with("VALUE ");
            let has_data = is_value || line.starts_with("VA ");
            // memcached leaves blanks behind a number that has become shorter.
            let data = has_data.then(|| lines.next().unwrap().trim_end());
            let length_at = if is_value { 3 } else { 1 };
            for (i, word) in line.split(' ').enumerate() {
                let shown = match (data, word.as_bytes()) {
                    (Some(data), _) if i == length_at => data.len().to_string(),
                    (_, _) if is_value && i == 4 => {
                        let key = line.split(' ').nth(1).unwrap();
                        self.name(key, word)
                    }
                    (_, [b'c', b'0'..=b'9', ..]) if i > 0 && !is_value => {
                        self.name(key, &word[1..])
                    }
                    // A second may have passed on one side only, and the clock that Heeler goes by
                    // may be set back: all times to live are whole hundreds.
                    (_, [b't', b'1'..=b'9', ..]) if i > 0 && !is_value => {
                        let seconds: u64 = word[1..].parse().unwrap();
                        format!("t{}", (seconds + 50) / 100 * 100)
                    }
                    _ => word.to_owned(),
                };
                named += &shown;
                named.push(' ');
            }
            if let Some(data) = data {
                let _ = write!(named, "| {data} ");
            }
            named += "/ ";
        }
        named
    }

    fn name(&mut self, key: &str, number: &str) -> String {
        let number: u64 = number.parse().unwrap();
        if number == 0 {
            return "none".into();
        }
        let known = self
            .told
            .iter()
            .position(|told| (told.0.as_str(), told.1) == (key, number));
        let place = known.unwrap_or_else(|| {
            self.told.push((key.to_owned(), number));
            self.told.len() - 1
        });
        format!("{{{place}}}")
    }
}

/// What a request is about.
struct Item {
    /// It is, or may be, a number.
    number: bool,
    key: String,
    value: &'static str,
    /// One of its numbers for cas.
    cas: String,
}

/// A request on one of a few keys, of which these numbers for cas have come up.
fn request(random: &mut Random, told: &[(String, u64)]) -> String {
    let number = random.one_in(3);
    let key = match number {
        true => format!("n{}", random.below(2)),
        false => format!("k{}", random.below(3)),
    };
    let value = match number {
        true => random.pick(&["0", "7", "10", "99", "18446744073709551615", "x", ""]),
        false => random.pick(&["", "a", "bc", "12345678", "a longer one, of many words"]),
    };
    let own: Vec<usize> = (0..told.len()).filter(|&i| told[i].0 == key).collect();
    let cas = match own.len() {
        0 => "1".into(),
        // The latest is the one that fits, if any does.
        _ if random.one_in(2) => format!("{{{}}}", own[own.len() - 1]),
        _ => format!("{{{}}}", random.pick(&own)),
    };
    let item = Item {
        number,
        key,
        value,
        cas,
    };
    match random.below(20) {
        0..9 => plain(random, &item),
        9..18 => meta(random, &item),
        _ => random.pick(ODD).to_owned(),
    }
}

const ODD: &[&str] = &[
    "get\r\n",
    "incr n0\r\n",
    "touch k0 x\r\n",
    "gat x k0\r\n",
    "delete k0 1\r\n",
    "mg k0 v v\r\n",
    "ms k0 1 Q\r\na\r\n",
    "set k0 0 0 2\r\nabc\r\n",
    "verbosity 0\r\n",
    "nonsense\r\n",
    "flush_all\r\n",
    "flush_all 0\r\n",
];

fn plain(random: &mut Random, item: &Item) -> String {
    let Item {
        key, value, cas, ..
    } = item;
    let exptime = random.pick(&["0", "0", "100", "10000", "-1"]);
    let flags = random.pick(&["0", "0", "1", "4294967295"]);
    let noreply = random.pick(&["", "", "", " noreply"]);
    let length = value.len();
    match random.below(9) {
        0..2 => {
            let name = random.pick(&["set", "set", "add", "replace"]);
            format!("{name} {key} {flags} {exptime} {length}{noreply}\r\n{value}\r\n")
        }
        2 if !item.number => {
            let name = random.pick(&["append", "prepend"]);
            format!("{name} {key} 3 {exptime} {length}{noreply}\r\n{value}\r\n")
        }
        2 => {
            let by = random.pick(&["1", "5", "18446744073709551615", "x"]);
            format!("{} {key} {by}{noreply}\r\n", random.pick(&["incr", "decr"]))
        }
        3 => format!("cas {key} {flags} {exptime} {length} {cas}{noreply}\r\n{value}\r\n"),
        4 | 5 => format!("{} {key} k1 n0\r\n", random.pick(&["get", "gets"])),
        6 => format!("{} {exptime} {key} k2\r\n", random.pick(&["gat", "gats"])),
        7 => format!("delete {key}{noreply}\r\n"),
        _ => format!("touch {key} {exptime}{noreply}\r\n"),
    }
}

fn meta(random: &mut Random, item: &Item) -> String {
    let Item {
        key, value, cas, ..
    } = item;
    let compare = match random.one_in(3) {
        true => format!(" C{cas}"),
        false => String::new(),
    };
    match random.below(8) {
        0 | 1 if item.number => {
            let mode = random.pick(&["", " MI", " MD", " M-", " Mx"]);
            let made = random.pick(&["", "", " N0", " N100 J12", " J5 N1000"]);
            let delta = random.pick(&["", " D3", " D18446744073709551615"]);
            let told = some_of(random, &["v", "c", "t", "k", "q", "Oab"]);
            let life = random.pick(&["", "", "", " T100", " T0"]);
            format!("ma {key}{mode}{made}{delta}{life}{compare}{told}\r\n")
        }
        0..4 => {
            let told = match item.number {
                true => some_of(random, &["v", "c", "t", "f", "k", "q", "Oab", "u"]),
                false => some_of(random, &["v", "c", "t", "f", "k", "q", "s", "u", "h", "Oz"]),
            };
            let life = random.pick(&["", "", "", " T100", " T0", " T1000"]);
            let made = random.pick(&["", "", "", " N100", " N0"]);
            let again = random.pick(&["", "", " R50", " R150", " R2000"]);
            format!("mg {key}{life}{made}{again}{told}\r\n")
        }
        4..6 => {
            let mode = match item.number {
                true => random.pick(&["", "", " ME", " MR", " MS"]),
                false => random.pick(&["", "", " ME", " MR", " MS", " MA", " MP"]),
            };
            let life = random.pick(&["", "", " T100", " T-1"]);
            let stale = random.pick(&["", " I"]);
            let told = some_of(random, &["c", "k", "q", "Oab", "F7"]);
            let length = value.len();
            format!("ms {key} {length}{mode}{life}{compare}{stale}{told}\r\n{value}\r\n")
        }
        _ => {
            let stale = random.pick(&["", " I", " I", " I T100"]);
            let told = some_of(random, &["k", "q", "Oab"]);
            format!("md {key}{compare}{stale}{told}\r\n")
        }
    }
}

/// Some of the flags, in any order.
fn some_of(random: &mut Random, flags: &[&str]) -> String {
    let mut flags = flags.to_vec();
    let mut some = String::new();
    for _ in 0..random.below(flags.len() as u64 + 1) {
        let at = random.below(flags.len() as u64) as usize;
        some.push(' ');
        some += flags.swap_remove(at);
    }
    some
}

#[test]
fn random_requests_are_answered_as_memcached_does() {
    let node = Node::start(&[]);
    compare(&[node.port], 1..=SEEDS);
}

/// Whether a request may give an item another expiry and leave its value.
fn only_touches(request: &str) -> bool {
    let touches = |name| request.starts_with(name);
    let may_live_on = ["mg", "ma", "md"].into_iter().any(touches);
    ["gat", "touch"].into_iter().any(touches) || may_live_on && request.contains(" T")
}

/// The same over nodes that share the keys: each request comes to another one. There another
/// expiry is another version, and so another cas: copies go by it.
#[test]
fn random_requests_to_the_nodes_of_a_ring_are_answered_as_memcached_does() {
    let cluster = Cluster::start(3, &[]);
    compare(&cluster.memcached, SEEDS + 1..=SEEDS + RING_SEEDS);
}

fn compare(ports: &[u16], seeds: RangeInclusive<u64>) {
    let memcached = Memcached::start_without_movements();
    let mut theirs = Side::new(&[memcached.port]);
    let mut ours = Side::new(ports);
    for seed in seeds {
        let mut random = Random(fastrand::Rng::with_seed(seed));
        let mut script = String::new();
        for side in [&mut theirs, &mut ours] {
            side.told.clear();
            side.ask("flush_all\r\n");
        }
        for _ in 0..REQUESTS {
            let mut request = self::request(&mut random, &theirs.told);
            while ports.len() > 1 && only_touches(&request) {
                request = self::request(&mut random, &theirs.told);
            }
            let expected = theirs.ask(&request);
            let answer = ours.ask(&request);
            script += &format!("{}\n      {expected}\n", request.escape_debug());
            if answer != expected && theirs.mistakes_a_number(&request, &expected) {
                break;
            }
            assert_eq!(answer, expected, "seed {seed}:\n{script}");
        }
    }
}
