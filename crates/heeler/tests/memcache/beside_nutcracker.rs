//! nutcracker and Heeler with the same pools over the same memcacheds: each finds what the other
//! set.

use crate::servers::{Heeler, Nutcracker, free_port};
use crate::{addresses, answers, items, memcacheds, shown};

const KEYS: usize = 500;

#[test]
fn each_finds_what_the_other_has_set() {
    let servers = memcacheds(2);
    let [ours, theirs] = [(); 2].map(|()| Nutcracker::WAYS.map(|_| free_port()));
    let [our_file, their_file] = [&ours, &theirs].map(|ports| {
        let pools = Nutcracker::WAYS.iter().zip(ports).enumerate();
        let text = pools.map(|(i, ((distribution, hash), port))| {
            let [one, two] = [0, 1].map(|s: usize| addresses(&servers)[s].clone());
            format!(
                "p{i}:\n  listen: 127.0.0.1:{port}\n  hash: {hash}\n  \
                 distribution: {distribution}\n  hash_tag: \"{{}}\"\n  servers:\n   \
                 - {one}:1{}\n   - {two}:{}{}\n",
                [" alpha", ""][i % 2],
                1 + i % 2,
                [" beta", ""][i % 2],
            )
        });
        text.collect::<String>()
    });
    let _nutcracker = Nutcracker::start(theirs[0], &their_file);
    let _heeler = Heeler::proxy(ours[0], &our_file, &["--threads", "2"]);
    for (i, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
        let way = format!("{:?}", Nutcracker::WAYS[i]);
        finds(ours, theirs, &format!("h{i}"), &way);
        finds(theirs, ours, &format!("n{i}"), &way);
    }
    // Both servers took a share, so that the keys did have to be found.
    for server in &servers {
        assert!(items(server) > KEYS);
    }
}

/// `one` sets, `other` gets: key by key, and many at once.
fn finds(one: u16, other: u16, prefix: &str, way: &str) {
    let key = |i: usize| match i % 5 {
        0 => format!("{prefix}:{{tag{i}}}:x"),
        1 => format!("{prefix}:{{}}{i}"),
        _ => format!("{prefix}:{i}"),
    };
    let value = |i: usize| format!("value\r\n{i}");
    let item = |i: usize| {
        format!(
            "VALUE {} {i} {}\r\n{}\r\n",
            key(i),
            value(i).len(),
            value(i)
        )
    };
    let (mut sets, mut gets, mut got) = (String::new(), String::new(), String::new());
    for i in 0..KEYS {
        sets += &format!(
            "set {} {i} 0 {}\r\n{}\r\n",
            key(i),
            value(i).len(),
            value(i)
        );
        gets += &format!("get {}\r\n", key(i));
        got += &format!("{}END\r\n", item(i));
    }
    let stored = "STORED\r\n".repeat(KEYS);
    assert_eq!(
        shown(&slowly(one, &sets)),
        shown(stored.as_bytes()),
        "{way}"
    );
    assert_eq!(shown(&slowly(other, &gets)), shown(got.as_bytes()), "{way}");
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let items: String = (0..KEYS).map(item).collect();
    let many = answers(other, format!("get {}\r\n", keys.join(" ")).as_bytes());
    assert!(
        many == format!("{items}END\r\n").as_bytes(),
        "{way} {}",
        shown(&many)
    );
}

/// The answers to requests that are sent together. nutcracker forgets replies that it still waits
/// for when a quit comes, so that it gets none.
fn slowly(port: u16, bytes: &str) -> Vec<u8> {
    let mut client = crate::Client::connect(("127.0.0.1", port));
    client.send(bytes.as_bytes());
    client.close_writing();
    client.read_to_close()
}
