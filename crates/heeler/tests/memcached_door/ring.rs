//! Nodes of a ring: requests that wait for their keys' handover, or for replicas, are answered as
//! memcached answers them.

use rustix::process::Signal;

use crate::servers::{Client, Cluster, Value, wait_until};

fn connect(cluster: &Cluster, node: usize) -> Client {
    Client::connect(("127.0.0.1", cluster.memcached[node]))
}

/// The answer to one request that ends with this line, as text.
fn ask(client: &mut Client, request: &str, ends: &[&str]) -> String {
    client.send(request.as_bytes());
    let mut told = String::new();
    loop {
        let line = client.read_until(b"\r\n");
        let line = String::from_utf8(line).expect("text");
        told.push_str(&line);
        told.push_str("\r\n");
        if ends.iter().any(|end| line.starts_with(end)) || line.contains("ERROR") {
            return told;
        }
    }
}

/// All kinds of requests for keys that another node still has: each waits until its key is there.
#[test]
fn requests_for_keys_that_are_handed_over_wait_for_them() {
    const KEYS: usize = 300;
    let mut cluster = Cluster::planned(2, &["--handover-rate", "64K"]);
    cluster.up(0);
    cluster.agrees(1);
    let mut client = connect(&cluster, 0);
    let value = "v".repeat(8 * 1024);
    for i in 0..KEYS {
        let request = format!("set key:{i} 7 0 {}\r\n{value}\r\n", value.len());
        assert_eq!(ask(&mut client, &request, &["STORED"]), "STORED\r\n");
        let number = format!("set number:{i} 0 0 2\r\n10\r\n");
        assert_eq!(ask(&mut client, &number, &["STORED"]), "STORED\r\n");
    }
    cluster.up(1);
    cluster.agrees(2);
    let mut client = connect(&cluster, 1);
    let length = value.len();
    for i in 0..KEYS {
        let got = format!("VALUE key:{i} 7 {length}\r\n{value}\r\nEND\r\n");
        let mut check = |request: String, ends: &[&str], expected: &str| {
            let told = ask(&mut client, &request, ends);
            assert_eq!(told, expected, "{request}");
        };
        match i % 6 {
            0 => check(format!("get key:{i}\r\n"), &["END"], &got),
            1 => {
                let expected = format!("VA {length} f7 s{length}\r\n{value}\r\n");
                check(format!("mg key:{i} v f s\r\n"), &["vvv"], &expected);
            }
            2 => check(format!("gat 1000 key:{i}\r\n"), &["END"], &got),
            3 => {
                let request = format!("append key:{i} 0 0 1\r\n!\r\n");
                check(request, &["STORED"], "STORED\r\n");
            }
            4 => check(format!("delete key:{i}\r\n"), &["DELETED"], "DELETED\r\n"),
            _ => check(
                format!("touch key:{i} 1000\r\n"),
                &["TOUCHED"],
                "TOUCHED\r\n",
            ),
        }
        check(format!("incr number:{i} 5\r\n"), &["15"], "15\r\n");
        check(
            format!("add number:{i} 0 0 1\r\n1\r\n"),
            &["NOT"],
            "NOT_STORED\r\n",
        );
        let none = format!("decr none:{i} 1\r\n");
        check(none, &["NOT"], "NOT_FOUND\r\n");
        // Neither reply is wanted, and the next one has to be the first that comes.
        check(
            format!("set quiet:{i} 0 0 1 noreply\r\n1\r\nmn\r\n"),
            &["MN"],
            "MN\r\n",
        );
    }
    // What has waited is counted as what it was.
    let stats = ask(&mut client, "stats\r\n", &["END"]);
    assert!(stats.contains("STAT get_misses 0\r\n"), "{stats}");
    assert!(!stats.contains("STAT get_hits 0\r\n"), "{stats}");
}

/// A write that waits for a replica, and one that waits in vain.
#[test]
fn writes_wait_for_replicas_and_fail_as_memcacheds_do() {
    let mut cluster = Cluster::start(2, &["--replicas", "2", "--write-acks", "all"]);
    wait_until("the copies are level", || {
        let mut client = connect(&cluster, 0);
        ask(&mut client, "set first 0 0 1\r\nx\r\n", &["STORED"]) == "STORED\r\n"
    });
    let mut clients = [connect(&cluster, 0), connect(&cluster, 1)];
    for i in 0..40 {
        let client = &mut clients[i % 2];
        for (request, reply) in [
            (format!("set k{i} 0 0 2\r\n10\r\n"), "STORED\r\n"),
            (format!("incr k{i} 1\r\n"), "11\r\n"),
            (format!("append k{i} 0 0 1\r\n0\r\n"), "STORED\r\n"),
            (format!("ms m{i} 2\r\nab\r\n"), "HD\r\n"),
            (format!("ma k{i} v\r\n"), "VA 3\r\n111\r\n"),
            (format!("touch k{i} 100\r\n"), "TOUCHED\r\n"),
            (format!("delete k{i}\r\n"), "DELETED\r\n"),
        ] {
            let ends = [reply.trim_end().rsplit("\r\n").next().unwrap()];
            assert_eq!(ask(client, &request, &ends), reply, "{request}");
        }
        assert_eq!(
            ask(client, &format!("get k{i} m{i}\r\n"), &["END"]),
            format!("VALUE m{i} 0 2\r\nab\r\nEND\r\n")
        );
    }
    let dead = cluster.nodes[1].take().expect("it is up");
    dead.process.signal(Signal::KILL);
    let mut failed = 0;
    for i in 0..6 {
        let request = format!("set k{i} 0 0 1\r\nx\r\n");
        let told = ask(&mut clients[0], &request, &["STORED"]);
        let is_error = told.starts_with("SERVER_ERROR ") && told.ends_with("\r\n");
        assert!(told == "STORED\r\n" || is_error, "{told}");
        failed += usize::from(is_error);
        let told = ask(&mut clients[0], &format!("ms k{i} 1\r\nx\r\n"), &["HD"]);
        assert!(
            told == "HD\r\n" || told.starts_with("SERVER_ERROR "),
            "{told}"
        );
    }
    assert!(failed > 0, "no write has waited in vain");
}

/// All nodes remove their items, at once or at a time.
#[test]
fn a_flush_is_for_all_nodes_now_or_then() {
    let cluster = Cluster::start(3, &["--replicas", "2"]);
    cluster.settles();
    let mut clients: Vec<Client> = (0..3).map(|node| connect(&cluster, node)).collect();
    let mut redis = cluster.client(0);
    let fill = |clients: &mut [Client]| {
        for n in 0..60 {
            let set = format!("set key:{n} 0 0 1\r\nv\r\n");
            assert_eq!(ask(&mut clients[n % 3], &set, &["STORED"]), "STORED\r\n");
        }
    };
    fill(&mut clients);
    assert_eq!(ask(&mut clients[0], "flush_all\r\n", &["OK"]), "OK\r\n");
    assert_eq!(redis.run("DBSIZE"), Value::Int(0));
    fill(&mut clients);
    let quiet = "flush_all noreply\r\nget key:1\r\n";
    assert_eq!(ask(&mut clients[1], quiet, &["END"]), "END\r\n");
    assert_eq!(redis.run("DBSIZE"), Value::Int(0));
    fill(&mut clients);
    let bad = ask(&mut clients[2], "flush_all x\r\n", &["CLIENT_ERROR"]);
    assert_eq!(bad, "CLIENT_ERROR invalid exptime argument\r\n");
    // What is said last counts, whichever node is told.
    assert_eq!(ask(&mut clients[2], "flush_all 1\r\n", &["OK"]), "OK\r\n");
    assert_eq!(
        ask(&mut clients[1], "flush_all 1000\r\n", &["OK"]),
        "OK\r\n"
    );
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(redis.run("DBSIZE"), Value::Int(60));
    assert_eq!(ask(&mut clients[0], "flush_all 1\r\n", &["OK"]), "OK\r\n");
    fill(&mut clients);
    wait_until("all items are gone", || {
        redis.run("DBSIZE") == Value::Int(0)
    });
    // Until no node is at it any more.
    std::thread::sleep(std::time::Duration::from_millis(200));
    fill(&mut clients);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(redis.run("DBSIZE"), Value::Int(60), "once");
}
