//! Nodes of one ring that were started with different settings.

mod servers;

use servers::{Client, Cluster, Heeler, Value, free_port, wait_until};

const OTHERS: &str = "was started with";

/// What a node says, on its standard error, of others.
fn says(node: &Heeler, what: &str) -> bool {
    let said = node.process.stderr();
    let mut lines = said.lines();
    lines.any(|line| line.contains(OTHERS) && line.contains(what))
}

fn differing(node: &mut Client) -> String {
    let info = node.run("INFO ring").text();
    let line = info
        .lines()
        .find(|line| line.starts_with("ring_differing_nodes:"));
    line.expect("the line").trim().to_owned()
}

#[test]
fn a_node_that_would_name_other_owners_does_not_join() {
    let mut cluster = Cluster::planned(2, &["--num-partitions", "271"]);
    cluster.up(0);
    // Its port for nodes is open, too.
    cluster.agrees(1);
    for (flags, there) in [
        (
            &["--num-partitions", "272"][..],
            "--num-partitions 271, here --num-partitions 272",
        ),
        (
            &["--num-partitions", "271", "--hash-tags"],
            "was started without --hash-tags, here --hash-tags",
        ),
        (&[], "--num-partitions 271, here without --num-partitions"),
        (
            &["--num-partitions", "271", "--hash", "hash32v1"],
            "places them by fingerprint32, here --hash hash32v1",
        ),
    ] {
        let redis = format!("127.0.0.1:{}", free_port());
        let (peer, join) = (cluster.peer(1), cluster.peer(0));
        let mut args = vec!["serve", "--redis", &redis, "--peer", &peer, "--join", &join];
        args.extend(flags);
        let stopped = Heeler::spawn(&args).wait();
        assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
        assert!(stopped.stderr.contains(there), "{}", stopped.stderr);
    }
    cluster.agrees(1);
}

#[test]
fn nodes_that_meet_though_they_name_other_owners_refuse_each_other_and_say_so() {
    meet_and_refuse(
        [&["--num-partitions", "271"], &["--num-partitions", "272"]],
        "different settings: \"partitions=272\" here",
    );
}

#[test]
fn nodes_that_meet_with_other_hash_functions_refuse_each_other_and_say_so() {
    meet_and_refuse(
        [&["--hash", "fingerprint32"], &["--hash", "hash32v1"]],
        "different settings: \"partitions=0 hash=hash32v1\" here",
    );
}

/// Nodes that were started with these flags, and what the first client of the first is told.
fn meet_and_refuse(flags: [&[&str; 2]; 2], expected: &str) {
    // A member that keeps no keys, over which they meet.
    let member = format!("127.0.0.1:{}", free_port());
    let hosts = tempfile::NamedTempFile::new().expect("a file");
    let list = serde_json::json!([&member]).to_string();
    std::fs::write(hosts.path(), list).expect("the file is written");
    let hosts = hosts.path().to_str().expect("a path");
    let _member = Heeler::spawn(&[
        "ringpop", "--app", "kv", "--listen", &member, "--hosts", hosts,
    ]);
    let node = |flags: &[&str; 2]| {
        let (port, peer) = (free_port(), format!("127.0.0.1:{}", free_port()));
        let redis = format!("127.0.0.1:{port}");
        let args = [
            "serve", "--redis", &redis, "--peer", &peer, "--join", &member,
        ];
        (Heeler::start(port, &[&args[..], flags].concat()), peer)
    };
    let ((one, peer), (other, _)) = (node(flags[0]), node(flags[1]));
    let mut client = one.client();
    let mut refused = String::new();
    wait_until("a request crosses the ring", || {
        (0..20).any(|n| {
            if let Value::Error(text) = client.run(&format!("GET key{n}")) {
                refused = text;
            }
            refused.contains("settings")
        })
    });
    assert!(refused.contains(expected), "{refused}");
    let [here, there] = flags.map(|flag| flag.join(" "));
    let there_and_here = format!("{there}, here {here}");
    let here_and_there = format!("{here}, here {there}");
    wait_until("both say so", || {
        says(&one, &there_and_here) && says(&other, &here_and_there)
    });
    assert_eq!(differing(&mut client), "ring_differing_nodes:1");
    let shown = Heeler::spawn(&["ring", "--peer", &peer]).wait().stdout;
    assert!(shown.contains(&there_and_here), "{shown}");
}

#[test]
fn a_name_on_the_ring_is_one_nodes_at_a_time() {
    let mut cluster = Cluster::planned(2, &[]);
    cluster.up(0);
    cluster.nodes[1] = Some(cluster.spawn_with(1, &["--identity", "B"]));
    cluster.agrees(2);
    let (port, peer) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let redis = format!("127.0.0.1:{port}");
    let start = |join: &str| {
        let args = ["serve", "--redis", &redis, "--peer", &peer, "--join", join];
        Heeler::spawn(&[&args[..], &["--identity", "B"]].concat())
    };
    let said = format!("{} has --identity B, as this node has", cluster.peer(1));
    for node in [0, 1] {
        let stopped = start(&cluster.peer(node)).wait();
        assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
        assert!(stopped.stderr.contains(&said), "{}", stopped.stderr);
    }
    cluster.agrees(2);
    // Whoever had it is gone: it has come back with another address.
    drop(cluster.nodes[1].take());
    let _node = start(&cluster.peer(0));
    wait_until("it is in the ring", || {
        let shown = Heeler::spawn(&["ring", "--peer", &cluster.peer(0)]).wait();
        shown.stdout.contains(&peer)
    });
}

#[test]
fn other_numbers_of_copies_are_told_until_they_are_the_same() {
    let args = ["--replicas", "2", "--write-acks", "1"];
    let mut cluster = Cluster::planned(2, &args);
    cluster.up(0);
    let other = cluster.spawn_with(1, &["--replicas", "1"]);
    cluster.nodes[1] = Some(other);
    cluster.agrees(2);
    wait_until("both say so", || {
        says(cluster.node(0), "--replicas 1, here --replicas 2")
            && says(cluster.node(1), "--replicas 2, here --replicas 1")
    });
    for node in [0, 1] {
        assert_eq!(
            differing(&mut cluster.client(node)),
            "ring_differing_nodes:1"
        );
    }
    for n in 0..100 {
        assert_eq!(
            cluster.client(0).run(&format!("SET key{n} {n}")),
            Value::ok()
        );
    }
    let leaver = cluster.nodes[1].take().expect("it is up");
    assert_eq!(leaver.stop().code, Some(0));
    cluster.agrees(1);
    cluster.up(1);
    cluster.agrees(2);
    wait_until("all is as it should be", || {
        [0, 1].into_iter().all(|node| {
            let mut client = cluster.client(node);
            let info = client.run("INFO ring").text();
            info.contains("ring_settled:1") && differing(&mut client) == "ring_differing_nodes:0"
        })
    });
    for n in 0..100 {
        assert_eq!(
            cluster.client(1).run(&format!("GET key{n}")),
            Value::bulk(n.to_string())
        );
    }
}

#[test]
fn too_few_nodes_for_the_writes_are_told_of_and_so_are_keys_that_nobody_takes_over() {
    let flags = ["--replicas", "2", "--write-acks", "all"];
    let mut cluster = Cluster::planned(2, &flags);
    let port = free_port();
    let http = free_port();
    let [admin, web] = [port, http].map(|port| format!("127.0.0.1:{port}"));
    let first = [&flags[..], &["--admin", &admin, "--http", &web]].concat();
    cluster.nodes[0] = Some(cluster.spawn_with(0, &first));
    let says = |cluster: &Cluster, what: &str| {
        let said = cluster.node(0).process.stderr();
        said.lines().any(|line| line.contains(what))
    };
    let few = "needs 2 nodes in the ring, and there are 1";
    wait_until("it says that it refuses writes", || says(&cluster, few));
    let refused = "NOREPLICAS Not enough good replicas to write.".to_owned();
    assert_eq!(
        cluster.client(0).run("SET key value"),
        Value::Error(refused)
    );
    // Reads are served: so it is ready, unless it is asked for writes.
    let ready = |query: &str| {
        let path = format!("/readyz{query}");
        let answers = [port, http].map(|port| servers::ask(port, "GET", &path));
        assert_eq!(answers[0], answers[1], "the same at both doors");
        answers[0].clone()
    };
    let why = "writes are refused (NOREPLICAS): --replicas 2 --write-acks all needs 2 nodes in the \
               ring, and there are 1; start the others\n";
    let (status, body) = ready("");
    assert_eq!((status, body), (200, format!("ready for reads\n{why}")));
    assert_eq!(ready("?writes"), (503, why.to_owned()));
    assert_eq!(ready("?a=b&writes=1"), (503, why.to_owned()));
    let refuses = |cluster: &Cluster| {
        let info = cluster.client(0).run("INFO ring").text();
        info.contains("ring_refuses_writes:1")
    };
    assert!(refuses(&cluster));
    cluster.up(1);
    cluster.agrees(2);
    wait_until("it is ready for writes", || {
        ready("?writes") == (200, "ready\n".to_owned())
    });
    assert!(!refuses(&cluster));
    wait_until("it takes writes", || {
        says(&cluster, "writes are taken again")
    });
    wait_until("a write is kept", || {
        cluster.client(0).run("SET key value") == Value::ok()
    });

    let peer = format!("127.0.0.1:{}", free_port());
    let last = Heeler::serve(&["--peer", &peer]);
    let mut client = Client::connect(last.address());
    assert_eq!(client.run("SET key value"), Value::ok());
    drop(client);
    let stopped = last.process.stop();
    assert!(
        stopped.stderr.contains("the keys are gone") && stopped.stderr.contains("keys=1"),
        "{}",
        stopped.stderr
    );
}
