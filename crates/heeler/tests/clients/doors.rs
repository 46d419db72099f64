//! One keyspace behind four doors and two nodes: what one client stores, all others read.

use std::process::Command;

use crate::servers::Cluster;
use crate::servers::free_port;

/// Where the doors of a node are.
struct Doors {
    redis: String,
    memcached: String,
    http: String,
    peer: String,
}

/// A client: stores one key, and shows several.
struct Client {
    name: &'static str,
    put: fn(&Doors, &str, &str),
    get: fn(&Doors, &[&str]) -> Vec<String>,
}

const CLIENTS: [Client; 5] = [
    Client {
        name: "redis-py",
        put: |doors, key, value| {
            python(REDIS_PY, &[&doors.redis, key, value]);
        },
        get: |doors, keys| lines(&python(REDIS_PY_GET, &with(&doors.redis, keys))),
    },
    Client {
        name: "ioredis",
        put: |doors, key, value| {
            node(IOREDIS, &[&doors.redis, key, value]);
        },
        get: |doors, keys| lines(&node(IOREDIS_GET, &with(&doors.redis, keys))),
    },
    Client {
        name: "pymemcache",
        put: |doors, key, value| {
            python(PYMEMCACHE, &[&doors.memcached, key, value]);
        },
        get: |doors, keys| lines(&python(PYMEMCACHE_GET, &with(&doors.memcached, keys))),
    },
    Client {
        name: "curl",
        put: |doors, key, value| {
            let data = format!("{{\"data\":\"{value}\"}}");
            let url = format!("http://{}/v1/keys/{key}", doors.http);
            curl(&[
                "-X",
                "PUT",
                "-d",
                &data,
                "-H",
                "Content-Type: application/json",
                &url,
            ]);
        },
        get: |doors, keys| keys.iter().map(|key| curl_get(&doors.http, key)).collect(),
    },
    Client {
        name: "tchannel",
        put: |doors, key, value| {
            let body = serde_json::json!({ "key": key, "value": value }).to_string();
            tcurl(&doors.peer, "put", &body);
        },
        get: |doors, keys| keys.iter().map(|key| tcurl_get(&doors.peer, key)).collect(),
    },
];

const REDIS_PY: &str = "\
import sys, redis
host, port = sys.argv[1].split(':')
redis.Redis(host=host, port=int(port)).set(sys.argv[2], sys.argv[3])";

const REDIS_PY_GET: &str = "\
import sys, redis
host, port = sys.argv[1].split(':')
for value in redis.Redis(host=host, port=int(port)).mget(sys.argv[2:]): print(value.decode())";

const PYMEMCACHE: &str = "\
import sys
from pymemcache.client.base import Client
assert Client(sys.argv[1]).set(sys.argv[2], sys.argv[3], noreply=False)";

const PYMEMCACHE_GET: &str = "\
import sys
from pymemcache.client.base import Client
found = Client(sys.argv[1]).get_many(sys.argv[2:])
for key in sys.argv[2:]: print(found[key].decode())";

const IOREDIS: &str = "\
const [address, key, value] = process.argv.slice(1);
const redis = new (require('ioredis'))('redis://' + address);
redis.set(key, value).then(() => redis.quit());";

const IOREDIS_GET: &str = "\
const [address, ...keys] = process.argv.slice(1);
const redis = new (require('ioredis'))('redis://' + address);
redis.mget(keys).then((all) => { console.log(all.join('\\n')); redis.quit(); });";

#[test]
fn five_clients_see_the_same_keys_at_both_nodes() {
    let http = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let mut cluster = Cluster::planned(2, &[]);
    for (node, http) in http.iter().enumerate() {
        cluster.nodes[node] = Some(cluster.spawn_with(node, &["--http", http]));
    }
    cluster.agrees(2);
    let doors = [0, 1].map(|node| Doors {
        redis: cluster.redis(node).to_string(),
        memcached: format!("127.0.0.1:{}", cluster.memcached[node]),
        http: http[node].clone(),
        peer: cluster.peer(node),
    });
    let mut stored: Vec<(String, String)> = Vec::new();
    for (node, doors) in doors.iter().enumerate() {
        for client in &CLIENTS {
            let (key, value) = (
                format!("{}-{node}", client.name),
                format!("by {}", client.name),
            );
            (client.put)(doors, &key, &value);
            stored.push((key, value));
        }
    }
    let keys: Vec<&str> = stored.iter().map(|(key, _)| key.as_str()).collect();
    let values: Vec<&str> = stored.iter().map(|(_, value)| value.as_str()).collect();
    for (node, doors) in doors.iter().enumerate() {
        for client in &CLIENTS {
            let found = (client.get)(doors, &keys);
            assert_eq!(found, values, "{} at node {node}", client.name);
        }
    }
}

fn with<'a>(address: &'a str, keys: &[&'a str]) -> Vec<&'a str> {
    std::iter::once(address)
        .chain(keys.iter().copied())
        .collect()
}

fn python(script: &str, args: &[&str]) -> String {
    let python = super::installed().join("python/bin/python");
    printed(Command::new(python).arg("-c").arg(script).args(args))
}

fn node(script: &str, args: &[&str]) -> String {
    let modules = super::installed().join("node_modules");
    let mut command = Command::new("node");
    printed(
        command
            .env("NODE_PATH", modules)
            .arg("-e")
            .arg(script)
            .args(args),
    )
}

fn curl(args: &[&str]) -> String {
    printed(Command::new("curl").args(["-sS", "--fail"]).args(args))
}

fn curl_get(http: &str, key: &str) -> String {
    let shown = curl(&[&format!("http://{http}/v1/keys/{key}")]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("the answer is JSON");
    shown["data"].as_str().expect("a string").to_owned()
}

/// ringpop's own client, over npm's tchannel. Its answers are `{"ok":true,"head":…,"body":…}`.
fn tcurl(peer: &str, endpoint: &str, body: &str) -> String {
    let target = super::installed();
    let tcurl = target.with_file_name("peers/node_modules/.bin/tcurl");
    printed(Command::new(tcurl).args(["-p", peer, "kv", endpoint, "-3", body, "--raw"]))
}

fn tcurl_get(peer: &str, key: &str) -> String {
    let body = serde_json::json!({ "key": key }).to_string();
    let shown = tcurl(peer, "get", &body);
    serde_json::from_str(shown.trim()).unwrap_or_else(|e| panic!("{shown}: {e}"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn printed(command: &mut Command) -> String {
    String::from_utf8(super::succeeds(command).stdout).expect("it prints text")
}
