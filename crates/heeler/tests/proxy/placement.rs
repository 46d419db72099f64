//! Which server gets a key: the same as with twemproxy, for every pool of its vectors.

use serde_json::Value as Json;

use crate::fake::Fake;
use crate::servers::{Heeler, Value, free_port};
use crate::{pipelined, words};

/// A pool of the vectors, and the port where the proxy offers it.
struct Case {
    name: String,
    port: u16,
    picks: Vec<i64>,
    ejects: bool,
    text: String,
}

#[test]
fn keys_go_where_twemproxy_sends_them() {
    let vectors = include_str!("../../../heeler-ring/tests/vectors/twemproxy.json");
    let vectors: Json = serde_json::from_str(vectors).unwrap();
    // Each server answers with its number.
    let fakes: Vec<Fake> = (0..110)
        .map(|number| Fake::start(move |_, _| format!(":{number}\r\n").into_bytes()))
        .collect();
    let pools = vectors["pools"].as_array().unwrap();
    let cases: Vec<Case> = pools
        .iter()
        .enumerate()
        .map(|(i, p)| case(i, p, &fakes))
        .collect();
    assert!(cases.len() > 50, "only {} pools", cases.len());
    let file: String = cases.iter().map(|case| case.text.as_str()).collect();
    let proxy = Heeler::proxy(cases[0].port, &file, &["--threads", "1"]);
    let gets: Vec<_> = keys(&vectors)
        .into_iter()
        .map(|key| vec![b"GET".to_vec(), key])
        .collect();
    for case in &cases {
        let mut client = crate::Client::connect(("127.0.0.1", case.port));
        if case.ejects {
            // One failure ejects the server that is down.
            let down = crate::error("Connection refused");
            assert!(
                pipelined(&mut client, &gets).contains(&down),
                "{}",
                case.name
            );
        }
        let replies = pipelined(&mut client, &gets);
        for ((get, reply), pick) in gets.iter().zip(replies).zip(&case.picks) {
            let key = get[1].escape_ascii();
            assert_eq!(reply, Value::Int(*pick), "pool {}, key {key}", case.name);
        }
    }
    drop(proxy);
}

/// A pool with its own names and weights, but with our servers' addresses.
fn case(number: usize, pool: &Json, fakes: &[Fake]) -> Case {
    let port = free_port();
    let word = |key: &str| pool[key].as_str();
    let mut text = format!(
        "pool{number}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: {}\n  \
         distribution: {}\n",
        word("hash").unwrap(),
        word("distribution").unwrap(),
    );
    if let Some(tag) = word("hash_tag") {
        text += &format!("  hash_tag: \"{tag}\"\n");
    }
    let ejected = numbers(&pool["ejected"]);
    if !ejected.is_empty() {
        text += "  auto_eject_hosts: true\n  server_failure_limit: 1\n  \
                 server_retry_timeout: 600000\n";
    }
    text += "  servers:\n";
    for (i, line) in pool["servers"].as_array().unwrap().iter().enumerate() {
        let (name, weight) = name_and_weight(line.as_str().unwrap());
        let is_down = ejected.contains(&(i as i64));
        let at = if is_down { free_port() } else { fakes[i].port };
        text += &format!("   - \"127.0.0.1:{at}:{weight} {name}\"\n");
    }
    Case {
        name: word("name").unwrap().into(),
        port,
        picks: numbers(&pool["pick"]),
        ejects: !ejected.is_empty(),
        text,
    }
}

/// What twemproxy makes of a line of `servers`: `host:port:weight name`.
fn name_and_weight(line: &str) -> (String, &str) {
    let (address, name) = line.split_once(' ').unwrap_or((line, ""));
    let (place, weight) = address.rsplit_once(':').unwrap();
    let name = match (name, place.strip_suffix(":11211")) {
        ("", Some(host)) => host.into(),
        ("", None) if place.starts_with('/') => format!("{place}:"),
        ("", None) => place.into(),
        (name, _) => name.into(),
    };
    (name, weight)
}

fn numbers(list: &Json) -> Vec<i64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_i64().unwrap())
        .collect()
}

fn keys(vectors: &Json) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let keys = vectors["keys"].as_array().unwrap().iter();
    keys.map(|key| {
        key["hex"]
            .as_str()
            .unwrap()
            .as_bytes()
            .chunks(2)
            .map(byte)
            .collect()
    })
    .collect()
}

#[test]
fn random_uses_every_server() {
    let fakes: Vec<Fake> = (0..4)
        .map(|number| Fake::start(move |_, _| format!(":{number}\r\n").into_bytes()))
        .collect();
    let addresses: Vec<String> = fakes.iter().map(Fake::address).collect();
    let proxy = crate::proxy(&["distribution: random"], &addresses);
    let gets: Vec<_> = (0..400).map(|_| words("GET same")).collect();
    let mut counts = [0; 4];
    for reply in pipelined(&mut proxy.client(), &gets) {
        let Value::Int(server) = reply else {
            panic!("{reply:?}")
        };
        counts[server as usize] += 1;
    }
    // 100 each is the mean; below 40 is a chance of less than one in a billion.
    assert!(counts.iter().all(|&count| count > 40), "{counts:?}");
}
