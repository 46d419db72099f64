//! `heeler serve` with memhashd's command line: three nodes, as its README starts them.

#[path = "web/curl.rs"]
mod curl;
mod servers;

use std::collections::BTreeSet;

use curl::{Answer, curl};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use servers::{Client, Heeler, Process, Value, free_port, wait_until};

/// Three nodes, each with a port for clients and one for the others.
struct Nodes {
    scheme: &'static str,
    clients: [u16; 3],
    servers: [u16; 3],
    processes: Vec<Process>,
}

/// Which nodes each node is told to join.
#[derive(Clone, Copy)]
enum Join {
    /// All others, as memhashd needs it.
    Others,
    /// All, itself among them.
    All,
    /// The first alone.
    First,
}

impl Nodes {
    /// Starts them in this order.
    fn start(order: [usize; 3], join: Join, more: &[&str]) -> Nodes {
        let is_secure = more.contains(&"-tls-cert");
        let mut nodes = Nodes {
            scheme: if is_secure { "https" } else { "http" },
            clients: [0; 3].map(|_| free_port()),
            servers: [0; 3].map(|_| free_port()),
            processes: Vec::new(),
        };
        for node in order {
            let args = nodes.command_line(node, join, more);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            nodes.processes.push(Heeler::spawn(&args));
        }
        for (process, node) in nodes.processes.iter_mut().zip(order) {
            process.wait_until_accepts(nodes.clients[node]);
        }
        for node in 0..3 {
            wait_until("all know of all", || {
                nodes
                    .get(node, "/v1/nodes")
                    .json()
                    .as_array()
                    .unwrap()
                    .len()
                    == 3
            });
        }
        nodes
    }

    fn command_line(&self, node: usize, join: Join, more: &[&str]) -> Vec<String> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut args = vec![
            "serve".to_owned(),
            "-server-addr".into(),
            at(self.servers[node]),
        ];
        args.push(format!("-client-addr={}", at(self.clients[node])));
        for (other, port) in self.servers.iter().enumerate() {
            let joins = match join {
                Join::Others => other != node,
                Join::All => true,
                Join::First => other == 0 && node != 0,
            };
            if joins {
                args.extend(["-join".into(), at(*port)]);
            }
        }
        args.extend(["--threads".into(), "1".into()]);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }

    fn curl(&self, node: usize, path: &str, args: &[&str]) -> Answer {
        let url = format!("{}://127.0.0.1:{}{path}", self.scheme, self.clients[node]);
        curl(&[&["-k", url.as_str()][..], args].concat())
    }

    fn get(&self, node: usize, path: &str) -> Answer {
        self.curl(node, path, &[])
    }

    fn put(&self, node: usize, key: &str, body: &str) -> Answer {
        let json = "Content-Type: application/json";
        let path = format!("/v1/keys/{key}");
        self.curl(node, &path, &["-X", "PUT", "-H", json, "-d", body])
    }

    /// The keys that each node has.
    fn keys(&self) -> [Vec<String>; 3] {
        [0, 1, 2].map(|node| serde_json::from_str(&self.get(node, "/v1/keys").body).unwrap())
    }
}

/// What memhashd's README shows, at nodes in turn.
fn session(nodes: &Nodes) {
    assert_eq!(nodes.get(0, "/v1/keys").body, "[]\n");
    let stored = nodes
        .put(0, "1", r#"{"data": ["a"], "expire_time": "10s"}"#)
        .json();
    assert_eq!(stored["action"], "store");
    assert_eq!(stored["meta"]["index"], 1);
    assert_eq!(stored["meta"]["expire_time"], "10s");
    assert_eq!(stored["meta"]["accessed_at"], "0001-01-01T00:00:00Z");
    let owner = stored["node"]["addr"].as_str().unwrap().to_owned();
    let mut ids = BTreeSet::new();
    for node in 0..3 {
        let loaded = nodes.get(node, "/v1/keys/1").json();
        assert_eq!(loaded["data"], json!(["a"]));
        assert_eq!(loaded["meta"]["created_at"], stored["meta"]["created_at"]);
        assert_eq!(loaded["node"]["addr"], *owner);
        // The id is that of the node asked.
        ids.insert(loaded["node"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 3);
    // Each node lists its own keys.
    let holders: Vec<u16> = (0..3)
        .filter(|node| nodes.get(*node, "/v1/keys").body == "[\"1\"]\n")
        .map(|node| nodes.servers[node])
        .collect();
    assert_eq!(holders.len(), 1);
    assert_eq!(owner, format!("127.0.0.1:{}", holders[0]));
    let again = nodes
        .put(1, "1", r#"{"data": ["a"], "expire_time": "10s"}"#)
        .json();
    assert_eq!(again["meta"]["index"], 2);
    assert_eq!(again["meta"]["created_at"], stored["meta"]["created_at"]);
    let deleted = nodes.curl(2, "/v1/keys/1", &["-X", "DELETE"]).json();
    assert_eq!(
        (&deleted["action"], &deleted["meta"]["index"]),
        (&json!("delete"), &json!(0))
    );
    assert_eq!(deleted["node"]["addr"], *owner);
    let missing = nodes.get(0, "/v1/keys/1");
    let text = "{\"text\":\"unable to load 1 key, 1 does not exist\"}\n";
    assert_eq!((missing.status, missing.body.as_str()), (404, text));
    nodes.put(0, "1", r#"{"data": ["a", "b", "c"]}"#);
    let typed = [
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"index": 2}"#,
    ];
    for node in 0..3 {
        assert_eq!(
            nodes.curl(node, "/v1/keys/1/index", &typed).json()["data"],
            "c"
        );
    }
    nodes.put(2, "1", r#"{"data": {"user": "ybubnov"}}"#);
    let typed = [
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"item": "user"}"#,
    ];
    for node in 0..3 {
        let item = nodes.curl(node, "/v1/keys/1/item", &typed).json();
        assert_eq!(
            (&item["action"], &item["data"]),
            (&json!("item"), &json!("ybubnov"))
        );
    }
}

#[test]
fn three_nodes_answer_the_session_of_the_readme_whatever_their_order() {
    for (order, join) in [
        ([0, 1, 2], Join::Others),
        ([2, 0, 1], Join::All),
        ([2, 1, 0], Join::First),
    ] {
        let nodes = Nodes::start(
            order,
            join,
            &["-join-retries", "5", "-num-partitions", "16384"],
        );
        session(&nodes);
    }
}

#[test]
fn every_node_shows_the_keys_of_all() {
    let nodes = Nodes::start([0, 1, 2], Join::Others, &[]);
    let items: Vec<Json> = (0..60)
        .map(|n| json!({ "key": format!("k{n}"), "data": n }))
        .collect();
    let body = json!({ "items": items }).to_string();
    let put = nodes.curl(0, "/v1/bulk/put", &["-d", &body]).json();
    let owners: BTreeSet<&str> = put["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            assert_eq!(result["status"], 200);
            result["node"]["addr"].as_str().unwrap()
        })
        .collect();
    assert_eq!(owners.len(), 3, "each node has some of them");
    let keys = nodes.keys();
    assert!(keys.iter().all(|keys| !keys.is_empty() && keys.len() < 60));
    let mut all: Vec<String> = keys.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 60);
    for node in 0..3 {
        let keys: Vec<String> = (0..60).map(|n| format!("k{n}")).collect();
        let body = json!({ "keys": keys }).to_string();
        let got = nodes.curl(node, "/v1/bulk/get", &["-d", &body]).json();
        for (n, result) in got["results"].as_array().unwrap().iter().enumerate() {
            assert_eq!(result["data"], n);
        }
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/keys?scope=cluster&prefix=k&limit=25&cursor={cursor}");
            let page = nodes.get(node, &path).json();
            found.extend(
                page["keys"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|k| k.to_string()),
            );
            cursor = page["cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 60);
    }
}

/// The keys of a node that leaves during a walk through all nodes go to where the walk has been.
#[test]
fn a_walk_through_all_nodes_leaves_no_key_out_when_one_of_them_leaves() {
    let mut nodes = Nodes::start([0, 1, 2], Join::Others, &[]);
    let items: Vec<Json> = (0..300)
        .map(|n| json!({ "key": format!("k{n}"), "data": n }))
        .collect();
    let body = json!({ "items": items }).to_string();
    let put = nodes.curl(0, "/v1/bulk/put", &["-d", &body]).json();
    let owners: Vec<String> = put["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["node"]["addr"].as_str().unwrap().to_owned())
        .collect();
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    let mut page = |nodes: &Nodes, asked: usize| {
        let path = format!("/v1/keys?scope=cluster&limit=10&cursor={cursor}");
        let page = nodes.get(asked, &path).json();
        cursor = page["cursor"].as_str().unwrap().to_owned();
        let keys: Vec<String> = page["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        found.extend(keys.iter().cloned());
        (keys, cursor.is_empty())
    };
    // Until it has been at two of them.
    let mut been: Vec<&str> = Vec::new();
    while been.len() < 2 {
        for key in page(&nodes, 0).0 {
            let owner = &owners[key[1..].parse::<usize>().unwrap()];
            if !been.contains(&owner.as_str()) {
                been.push(owner);
            }
        }
    }
    let addresses = nodes.servers.map(|port| format!("127.0.0.1:{port}"));
    let last = addresses
        .iter()
        .position(|address| !been.contains(&address.as_str()));
    let last = last.expect("a third one");
    let stopped = nodes.processes.remove(last).stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    let asked = (last + 1) % 3;
    while !page(&nodes, asked).1 {}
    assert_eq!(found.len(), 300);
}

#[test]
fn what_is_changed_is_changed_where_the_key_is() {
    let nodes = Nodes::start([0, 1, 2], Join::Others, &[]);
    nodes.put(1, "k0", r#"{"data":0}"#);
    let tag = nodes
        .get(0, "/v1/keys/k0")
        .header("etag")
        .unwrap()
        .to_owned();
    let change = |node: usize| {
        let header = format!("If-Match: {tag}");
        nodes.curl(
            node,
            "/v1/keys/k0",
            &["-X", "PUT", "-H", &header, "-d", r#"{"data":1}"#],
        )
    };
    assert_eq!([0, 1, 2].map(|node| change(node).status), [200, 412, 412]);
    let appended = |node| nodes.curl(node, "/v1/keys/list/append", &["-d", r#"{"data":"x"}"#]);
    assert_eq!([0, 1, 2].map(|node| appended(node).status), [200; 3]);
    assert_eq!(
        nodes.get(1, "/v1/keys/list").json()["data"],
        json!(["x", "x", "x"])
    );
}

/// Nodes tell by the version which state of a key is newer. What is shown of its value stays.
#[test]
fn a_new_time_to_live_alone_is_another_version_but_no_change_of_the_value() {
    let redis = free_port();
    let at = format!("127.0.0.1:{redis}");
    let (http, peer) = (free_port(), free_port());
    let [client, server] = [http, peer].map(|port| format!("127.0.0.1:{port}"));
    let flags = ["--redis", &at, "--http", &client, "--peer", &server];
    let mut node = Heeler::spawn(&[&["serve", "--threads", "1"], &flags[..]].concat());
    node.wait_until_serves(http);
    let url = format!("http://{client}/v1/keys/k");
    let stored = curl(&[&url, "-X", "PUT", "-d", r#"{"data":1}"#]);
    assert_eq!(Client::connect(&at).run("EXPIRE k 1000"), Value::Int(1));
    let loaded = curl(&[&url]);
    assert_ne!(loaded.header("etag"), stored.header("etag"));
    for shown in ["index", "created_at", "updated_at"] {
        let [before, after] = [&stored, &loaded].map(|it| it.json()["meta"][shown].clone());
        assert_eq!(after, before, "{shown}");
    }
    let life = loaded.json()["meta"]["expire_time"].take();
    assert!(life.as_str().unwrap().starts_with("16m40"), "{life}");
}

/// What a client does about it differs: ask again, or find out first what has been done.
#[test]
fn a_key_whose_owner_is_away_is_answered_503_or_504() {
    let mut nodes = Nodes::start([0, 1, 2], Join::Others, &["--suspect-period", "60000"]);
    let owner = |nodes: &Nodes, key: &str| {
        let stored = nodes.put(0, key, r#"{"data":1}"#).json();
        stored["node"]["addr"].as_str().unwrap().to_owned()
    };
    let address = format!("127.0.0.1:{}", nodes.servers[2]);
    let mut keys = (0..).map(|n| format!("k{n}"));
    let key = keys.find(|key| owner(&nodes, key) == address).unwrap();
    let (path, bulk) = (
        format!("/v1/keys/{key}"),
        json!({ "keys": [key] }).to_string(),
    );
    nodes.processes[2].signal(Signal::STOP);
    let doubtful = nodes.put(0, &key, r#"{"data":2}"#);
    let told = doubtful.json()["text"].as_str().unwrap().to_owned();
    assert_eq!(
        (doubtful.status, doubtful.header("retry-after")),
        (504, None)
    );
    assert!(told.starts_with(&format!(
        "unable to store {key} key, CLUSTERDOWN the node {address}"
    )));
    assert!(told.ends_with(", and it may have executed the command"));
    nodes.processes[2].signal(Signal::KILL);
    nodes.processes.truncate(2);
    wait_until("its connections are known to be closed", || {
        nodes.get(0, &path).status == 503
    });
    for refused in [
        nodes.get(0, &path),
        nodes.put(1, &key, r#"{"data":3}"#),
        nodes.curl(0, "/v1/keys?scope=cluster", &[]),
    ] {
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert_eq!(refused.header("retry-after"), Some("1"));
        let told = refused.json()["text"].as_str().unwrap().to_owned();
        assert!(told.contains("CLUSTERDOWN the node"), "{told}");
        assert!(!told.contains("may have"), "{told}");
    }
    let got = nodes.curl(0, "/v1/bulk/get", &["-d", &bulk]).json();
    assert_eq!(got["results"][0]["status"], 503);
}

#[test]
fn a_write_that_replicas_have_not_confirmed_is_in_doubt_and_one_that_was_refused_is_not() {
    let flags = ["--replicas", "3", "--write-acks", "all"];
    let more = [&flags[..], &["--suspect-period", "60000"]].concat();
    let mut nodes = Nodes::start([0, 1, 2], Join::Others, &more);
    let owner = |nodes: &Nodes, key: &str| {
        let mut stored = nodes.put(0, key, r#"{"data":1}"#);
        wait_until("the nodes have settled", || {
            stored = nodes.put(0, key, r#"{"data":1}"#);
            stored.status == 200
        });
        stored.json()["node"]["addr"].as_str().unwrap().to_owned()
    };
    let address = format!("127.0.0.1:{}", nodes.servers[0]);
    let mut keys = (0..).map(|n| format!("k{n}"));
    let key = keys.find(|key| owner(&nodes, key) == address).unwrap();
    nodes.processes[2].signal(Signal::STOP);
    for asked in [0, 1] {
        let data = format!("{{\"data\":\"by {asked}\"}}");
        let doubtful = nodes.put(asked, &key, &data);
        let told = doubtful.json()["text"].as_str().unwrap().to_owned();
        assert_eq!(doubtful.status, 504, "{told}");
        let begin = format!("unable to store {key} key, NOREPLICAS Not enough good replicas have");
        assert!(told.starts_with(&begin), "{told}");
        assert!(
            told.ends_with(", and it may have executed the command"),
            "{told}"
        );
        wait_until("the owner has it", || {
            let shown = nodes.get(asked, &format!("/v1/keys/{key}"));
            shown.status == 200 && shown.json()["data"] == format!("by {asked}")
        });
    }
    // It goes, and its place is not taken.
    nodes.processes[2].signal(Signal::CONT);
    assert_eq!(nodes.processes.remove(2).stop().code, Some(0));
    wait_until("a write is refused", || {
        let refused = nodes.put(0, &key, r#"{"data":2}"#);
        refused.status == 503
            && refused
                .body
                .contains("NOREPLICAS Not enough good replicas to")
    });
}

/// Nobody has signed the certificate, and it names no host: as the one in memhashd's repository.
#[test]
fn with_one_certificate_for_all_everything_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let files = [&cert_file, &key_file].map(|file| file.to_str().unwrap());
    let more = ["-tls-cert", files[0], "-tls-key", files[1]];
    let nodes = Nodes::start([1, 0, 2], Join::Others, &more);
    session(&nodes);
    for (version, line) in [("--http1.1", "HTTP/1.1 200 OK"), ("--http2", "HTTP/2 200 ")] {
        let answer = nodes.curl(0, "/v1/keys/1", &[version]);
        assert_eq!(answer.line(), line);
        assert_eq!(answer.json()["data"], json!({ "user": "ybubnov" }));
    }
    // Several requests at once over one connection.
    let url = format!("https://127.0.0.1:{}/v1/keys/1?n=[1-50]", nodes.clients[0]);
    let out = std::process::Command::new("curl")
        .args(["-s", "-k", "-Z", "--http2", &url])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.matches("\"action\":\"load\"").count(), 50);
    // Who does not speak TLS gets nothing, on neither port.
    for port in [nodes.clients[0], nodes.servers[0]] {
        let plain = std::process::Command::new("curl")
            .args(["-s", &format!("http://127.0.0.1:{port}/v1/keys")])
            .output()
            .unwrap();
        assert!(
            !plain.status.success() && plain.stdout.is_empty(),
            "{plain:?}"
        );
    }
}

#[test]
fn the_lines_of_compose_yaml_are_understood() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let file = std::fs::read_to_string(format!("{root}/compose.yaml")).unwrap();
    let lines = file
        .lines()
        .filter_map(|line| line.trim().strip_prefix("command: "));
    let mut count = 0;
    for line in lines {
        count += 1;
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "serve");
        // A word more, and it says what it has understood before.
        let stopped = Heeler::spawn(&[&words[..], &["--help"]].concat()).wait();
        assert_eq!(stopped.code, Some(0), "{line}: {}", stopped.stderr);
        let stopped = Heeler::spawn(&[&words[..], &["--nonsense"]].concat()).wait();
        assert_eq!(stopped.code, Some(2));
        assert!(
            stopped.stderr.contains("'--nonsense'"),
            "{line}: {}",
            stopped.stderr
        );
        for port in ["-server-addr", "-client-addr", "-join"] {
            assert!(words.contains(&port), "{line}");
        }
    }
    assert_eq!(count, 3);
    let image = std::fs::read_to_string(format!("{root}/Dockerfile")).unwrap();
    assert!(image.contains("FROM scratch") && image.contains("ENTRYPOINT [\"/heeler\"]"));
}
