//! nutcracker and Heeler with the same pools over the same servers: each finds what the other set.

use crate::servers::{Client, Heeler, Nutcracker, Value, free_port};
use crate::{addresses, pipelined, redis_servers, words};

const KEYS: usize = 1000;

#[test]
fn each_finds_what_the_other_has_set() {
    let servers = redis_servers(2);
    let [ours, theirs] = [(); 2].map(|()| Nutcracker::WAYS.map(|_| free_port()));
    let [our_file, their_file] = [&ours, &theirs].map(|ports| {
        let pools = Nutcracker::WAYS.iter().zip(ports).enumerate();
        let text = pools.map(|(i, ((distribution, hash), port))| {
            let [one, two] = [0, 1].map(|s: usize| addresses(&servers)[s].clone());
            format!(
                "p{i}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: {hash}\n  \
                 distribution: {distribution}\n  hash_tag: \"{{}}\"\n  servers:\n   \
                 - {one}:1 alpha\n   - {two}:{} beta\n",
                1 + i % 2
            )
        });
        text.collect::<String>()
    });
    let nutcracker = Nutcracker::start(theirs[0], &their_file);
    let heeler = Heeler::proxy(ours[0], &our_file, &["--threads", "2"]);
    for (i, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
        let [mut heeler, mut nutcracker] =
            [ours, theirs].map(|port| Client::connect(("127.0.0.1", port)));
        finds(
            &mut heeler,
            &mut nutcracker,
            &format!("h{i}"),
            &format!("{:?}", Nutcracker::WAYS[i]),
        );
        finds(
            &mut nutcracker,
            &mut heeler,
            &format!("n{i}"),
            &format!("{:?}", Nutcracker::WAYS[i]),
        );
    }
    drop((heeler, nutcracker));
    // Both servers took a share, so that the keys did have to be found.
    for server in &servers {
        let Value::Int(keys) = server.client().run("DBSIZE") else {
            panic!("DBSIZE")
        };
        assert!(keys > 1000, "{keys} keys");
    }
}

/// `one` sets, `other` gets: key by key, and many at once.
fn finds(one: &mut Client, other: &mut Client, prefix: &str, way: &str) {
    let key = |i: usize| match i % 5 {
        0 => format!("{prefix}:{{tag{i}}}:x"),
        1 => format!("{prefix}:{{}}{i}"),
        _ => format!("{prefix}:{i}"),
    };
    let set = |i: usize| words(&format!("SET {} {i}", key(i)));
    let sets: Vec<_> = (0..KEYS).map(set).collect();
    assert!(
        pipelined(one, &sets)
            .iter()
            .all(|reply| *reply == Value::ok()),
        "{way}"
    );
    let gets: Vec<_> = (0..KEYS)
        .map(|i| words(&format!("GET {}", key(i))))
        .collect();
    for (i, reply) in pipelined(other, &gets).into_iter().enumerate() {
        assert_eq!(reply, Value::bulk(i.to_string()), "{way} {}", key(i));
    }
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let values = (0..KEYS).map(|i| Value::bulk(i.to_string())).collect();
    assert_eq!(
        other.run(&format!("MGET {}", keys.join(" "))),
        Value::Array(values),
        "{way}"
    );
    let half = KEYS as i64 / 2;
    assert_eq!(
        one.run(&format!("DEL {}", keys[..KEYS / 2].join(" "))),
        Value::Int(half),
        "{way}"
    );
    assert_eq!(
        other.run(&format!("TOUCH {}", keys.join(" "))),
        Value::Int(half),
        "{way}"
    );
}
