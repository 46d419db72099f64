//! Nodes of one ring, each a process with a Redis door.

use std::time::Duration;

use super::{Client, Heeler, free_port, wait_until};

/// A ring of so many nodes.
pub struct Cluster {
    /// The nodes; `None` where one is down.
    pub nodes: Vec<Option<Heeler>>,
    /// Their peer ports.
    pub peers: Vec<u16>,
    ports: Vec<u16>,
    /// Where they speak memcached's protocol.
    pub memcached: Vec<u16>,
    args: Vec<String>,
}

impl Cluster {
    /// Starts them all at once, and returns when they agree. `args` are for each of them.
    pub fn start(count: usize, args: &[&str]) -> Cluster {
        let mut cluster = Cluster::planned(count, args);
        for node in 0..count {
            cluster.nodes[node] = Some(cluster.spawn(node));
        }
        cluster.agrees(count);
        cluster
    }

    /// Has places for so many, and starts none.
    pub fn planned(count: usize, args: &[&str]) -> Cluster {
        Cluster {
            nodes: (0..count).map(|_| None).collect(),
            peers: (0..count).map(|_| free_port()).collect(),
            ports: (0..count).map(|_| free_port()).collect(),
            memcached: (0..count).map(|_| free_port()).collect(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        }
    }

    /// Starts one node, which may have run before.
    pub fn up(&mut self, node: usize) {
        self.nodes[node] = Some(self.spawn(node));
    }

    fn spawn(&self, node: usize) -> Heeler {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.spawn_with(node, &args)
    }

    /// Starts one node with other arguments.
    pub fn spawn_with(&self, node: usize, args: &[&str]) -> Heeler {
        let redis = format!("127.0.0.1:{}", self.ports[node]);
        let join: Vec<String> = self
            .peers
            .iter()
            .map(|p| format!("127.0.0.1:{p}"))
            .collect();
        let (peer, join) = (self.peer(node), join.join(","));
        let memcached = format!("127.0.0.1:{}", self.memcached[node]);
        let mut all = vec!["serve", "--redis", &redis, "--peer", &peer, "--join", &join];
        all.extend(["--memcached", &memcached]);
        all.extend(["--threads", "2"]);
        all.extend(args);
        Heeler::start_to_join(self.ports[node], &all)
    }

    /// A node's address in the ring.
    pub fn peer(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.peers[node])
    }

    /// A node that is up.
    pub fn node(&self, node: usize) -> &Heeler {
        self.nodes[node].as_ref().expect("the node is up")
    }

    /// Where a node speaks the Redis protocol.
    pub fn redis(&self, node: usize) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.ports[node]).into()
    }

    /// A connection to a node.
    pub fn client(&self, node: usize) -> Client {
        self.node(node).client()
    }

    /// Returns when all nodes that are up see a ring of so many members, and the same.
    pub fn agrees(&self, members: usize) {
        wait_until("the nodes agree about the ring", || {
            let up = (0..self.nodes.len()).filter(|&node| self.nodes[node].is_some());
            let rings: Vec<String> = up.map(|node| self.ring_of(node)).collect();
            let line = format!("ring_members:{members}");
            let agree = rings
                .iter()
                .all(|ring| ring == &rings[0] && ring.contains(&line));
            if !agree {
                std::thread::sleep(Duration::from_millis(20));
            }
            agree
        });
    }

    /// Returns when all nodes that are up have what they hold: until then those that take keys over
    /// say that they may have changed.
    pub fn settles(&self) {
        wait_until("the nodes have what they hold", || {
            let mut up = (0..self.nodes.len()).filter(|&node| self.nodes[node].is_some());
            let all = up.all(|node| {
                let info = self.client(node).run("INFO ring").text();
                info.contains("ring_settled:1\r")
            });
            if !all {
                std::thread::sleep(Duration::from_millis(20));
            }
            all
        });
    }

    /// What a node says of the members and the ring's checksum.
    fn ring_of(&self, node: usize) -> String {
        let info = self.client(node).run("INFO ring").text();
        let lines = info
            .lines()
            .filter(|line| line.starts_with("ring_members:") || line.starts_with("ring_checksum:"));
        lines.collect::<Vec<_>>().join(" ")
    }

    /// The node that owns a key, as the node 0 sees it.
    pub fn owner(&self, key: &str) -> usize {
        let from = self.nodes.iter().position(Option::is_some).expect("a node");
        let peer = self.peer(from);
        let asked = Heeler::spawn(&["ring", "--peer", &peer, "--json", key]).wait();
        let told: serde_json::Value = serde_json::from_str(&asked.stdout).expect("JSON");
        let owner = told["owners"][key].as_str().expect("an owner").to_owned();
        let at = (0..self.peers.len()).find(|&node| self.peer(node) == owner);
        at.expect("the owner is a node")
    }
}
