//! Clients that wait for elements in a ring whose nodes come, go and die: real processes.

mod servers;

use std::collections::BTreeSet;

use servers::{Client, Cluster, Value, request, wait_until};

const KEYS: usize = 30;

/// The key `{kN}`, and the commands by which one waits for it and pushes to it.
struct Queue {
    key: String,
    waits: Vec<String>,
}

impl Queue {
    fn new(n: usize) -> Queue {
        let key = format!("{{k{n}}}");
        let waits = match n % 6 {
            0 => format!("BLPOP {key} 0"),
            1 => format!("BLMPOP 0 1 {key} LEFT"),
            2 => format!("BLMOVE {key} {key}:to LEFT RIGHT 0"),
            3 => format!("BZPOPMIN {key} 0"),
            4 => format!("BRPOPLPUSH {key} {key}:to 0"),
            _ => format!("BZMPOP 0 1 {key} MIN"),
        };
        let waits = waits.split(' ').map(str::to_owned).collect();
        Queue { key, waits }
    }

    fn is_sorted_set(&self) -> bool {
        self.waits[0].starts_with("BZ")
    }

    fn push(&self, client: &mut Client, element: &str) {
        let pushed = match self.is_sorted_set() {
            true => client.call(&[b"ZADD", self.key.as_bytes(), b"1", element.as_bytes()]),
            false => client.call(&[b"LPUSH", self.key.as_bytes(), element.as_bytes()]),
        };
        assert!(matches!(pushed, Value::Int(_)), "{pushed:?}");
    }

    fn begin(&self, client: &mut Client) {
        let words: Vec<&[u8]> = self.waits.iter().map(String::as_bytes).collect();
        client.send(&request(&words));
    }
}

/// How many clients of a node are blocked, as it says.
fn blocked(cluster: &Cluster, node: usize) -> usize {
    let info = cluster.client(node).run("INFO clients").text();
    let line = info
        .lines()
        .find_map(|l| l.strip_prefix("blocked_clients:"));
    line.expect("a number").trim().parse().expect("a number")
}

/// A ring of the first so many of four nodes.
fn ring(count: usize) -> Cluster {
    let args = ["--hash-tags", "--suspect-period", "500"];
    let mut cluster = Cluster::planned(4, &args);
    (0..count).for_each(|node| cluster.up(node));
    cluster.agrees(count);
    cluster.settles();
    cluster
}

/// Has a client of each node wait for each key.
fn waiters(cluster: &Cluster, nodes: &[usize], queues: &[Queue]) -> Vec<Vec<Client>> {
    let all = queues.iter().map(|queue| {
        let begin = |&node: &usize| {
            let mut client = cluster.client(node);
            queue.begin(&mut client);
            client
        };
        nodes.iter().map(begin).collect()
    });
    let all = all.collect();
    for &node in nodes {
        wait_until("they wait", || blocked(cluster, node) == queues.len());
    }
    all
}

/// Of the elements pushed each was given to one who waited, and nothing is left.
fn all_served(cluster: &Cluster, queues: &[Queue], waiters: Vec<Vec<Client>>, pushed: &[&str]) {
    for (queue, clients) in queues.iter().zip(waiters) {
        let replies: Vec<String> = clients
            .into_iter()
            .map(|mut client| client.read_raw_reply().escape_ascii().to_string())
            .collect();
        let got = |element: &&&str| replies.iter().any(|reply| reply.contains(**element));
        let found: BTreeSet<&&str> = pushed.iter().filter(got).collect();
        assert_eq!(found.len(), pushed.len(), "{:?} {replies:?}", queue.waits);
        assert_eq!(replies.len(), pushed.len());
        let left = cluster.client(0).call(&[b"EXISTS", queue.key.as_bytes()]);
        assert_eq!(left, Value::Int(0), "{:?}", queue.waits);
    }
}

#[test]
fn who_waits_goes_on_where_the_keys_are_when_nodes_come_and_go() {
    let mut cluster = ring(3);
    let queues: Vec<Queue> = (0..KEYS).map(Queue::new).collect();
    let waiting = waiters(&cluster, &[0, 1, 2], &queues);
    cluster.up(3);
    cluster.agrees(4);
    cluster.settles();
    let mut client = cluster.client(3);
    queues.iter().for_each(|q| q.push(&mut client, "first"));
    wait_until("one for each key is served", || {
        (0..3).map(|node| blocked(&cluster, node)).sum::<usize>() == 2 * KEYS
    });
    drop(client);
    let node = cluster.nodes[3].take().expect("it is up");
    node.stop();
    cluster.agrees(3);
    for (node, element) in [(1, "second"), (2, "third")] {
        let mut client = cluster.client(node);
        queues.iter().for_each(|q| q.push(&mut client, element));
    }
    all_served(&cluster, &queues, waiting, &["first", "second", "third"]);
    for node in 0..3 {
        assert_eq!(blocked(&cluster, node), 0);
    }
}

#[test]
fn clients_of_a_ring_of_one_go_on_when_it_grows() {
    let mut cluster = ring(1);
    let queues: Vec<Queue> = (0..KEYS).map(Queue::new).collect();
    let waiting = waiters(&cluster, &[0], &queues);
    cluster.up(1);
    cluster.agrees(2);
    let mut client = cluster.client(1);
    queues.iter().for_each(|q| q.push(&mut client, "only"));
    all_served(&cluster, &queues, waiting, &["only"]);
}

#[test]
fn who_waits_for_a_key_of_a_node_that_dies_goes_on_at_its_heirs() {
    let mut cluster = ring(3);
    let queues: Vec<Queue> = (0..KEYS).map(Queue::new).collect();
    let waiting = waiters(&cluster, &[0, 1], &queues);
    // It is killed.
    drop(cluster.nodes[2].take());
    cluster.agrees(2);
    cluster.settles();
    for (node, element) in [(0, "first"), (1, "second")] {
        let mut client = cluster.client(node);
        queues.iter().for_each(|q| q.push(&mut client, element));
    }
    all_served(&cluster, &queues, waiting, &["first", "second"]);
}

/// A key of the first node, and one of the second.
fn torn(cluster: &Cluster) -> (String, String) {
    let keys: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    let owned = |node| keys.iter().find(|key| cluster.owner(key) == node).cloned();
    (owned(0).expect("a key"), owned(1).expect("a key"))
}

#[test]
fn who_waits_elsewhere_is_unblocked_leaves_and_is_shown() {
    let mut cluster = ring(2);
    let (stays, moves) = torn(&cluster);
    cluster.nodes[1].take().expect("it is up").stop();
    cluster.agrees(1);
    let mut clients: Vec<Client> = (0..6).map(|_| cluster.client(0)).collect();
    let ids: Vec<String> = clients[..2]
        .iter_mut()
        .map(|client| match client.run("CLIENT ID") {
            Value::Int(id) => id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    clients[4].run("HELLO 3");
    clients[5].run("HELLO 3");
    for (client, command) in clients.iter_mut().zip([
        ["BLPOP", &moves, "0"].as_slice(),
        ["BLPOP", &moves, "0"].as_slice(),
        ["BLPOP", &moves, "0"].as_slice(),
        ["BLPOP", &stays, &moves, "0"].as_slice(),
        ["BLPOP", &moves, "3"].as_slice(),
        ["BZPOPMIN", &stays, "0"].as_slice(),
    ]) {
        let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        client.send(&request(&words));
    }
    wait_until("they wait", || blocked(&cluster, 0) == 6);
    cluster.up(1);
    cluster.agrees(2);
    cluster.settles();

    // Its keys are those of two nodes now.
    let apart = clients[3].read_raw_reply();
    assert!(apart.starts_with(b"-CROSSSLOT"), "{}", apart.escape_ascii());
    // Its time goes on from where it began.
    assert_eq!(clients[4].read_raw_reply(), b"_\r\n");
    let mut other = cluster.client(0);
    let list = other.run("CLIENT LIST").text();
    let blocked_now = list.lines().filter(|line| line.contains(" flags=b "));
    assert_eq!(blocked_now.count(), 4, "{list}");
    assert_eq!(
        other.run(&format!("CLIENT UNBLOCK {}", ids[0])),
        Value::Int(1)
    );
    assert_eq!(clients[0].read_raw_reply(), b"*-1\r\n");
    let unblock = format!("CLIENT UNBLOCK {} ERROR", ids[1]);
    assert_eq!(other.run(&unblock), Value::Int(1));
    assert!(clients[1].read_raw_reply().starts_with(b"-UNBLOCKED "));
    assert_eq!(clients[1].run("PING").text(), "PONG");
    drop(clients.remove(2));
    wait_until("one is left", || blocked(&cluster, 0) == 1);
    // Until the other node knows, too, what is pushed would be the one's who has gone.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let push = [b"RPUSH".as_slice(), moves.as_bytes(), b"x"];
    assert_eq!(cluster.client(1).call(&push), Value::Int(1));
    let length = other.call(&[b"LLEN", moves.as_bytes()]);
    assert_eq!(length, Value::Int(1));
    other.call(&[b"ZADD", stays.as_bytes(), b"1.5", b"m"]);
    let mut last = clients.pop().expect("the one who stays");
    let expected = format!("*3\r\n${}\r\n{stays}\r\n$1\r\nm\r\n,1.5\r\n", stays.len());
    assert_eq!(last.read_raw_reply(), expected.as_bytes());
}
