//! Heeler in rings of real ringpop-node processes. `.ci/peers` installs them.

#[expect(dead_code, reason = "the tests of TLS use more of it")]
#[path = "tls/authority.rs"]
mod authority;
#[path = "ringpop/ring.rs"]
mod ring;
mod servers;

use std::process::Command;
use std::time::Duration;

use authority::Authority;
use heeler_ringpop::RingHash;
use ring::Kind::{Heeler, Node};
use ring::{Kind, Ring, peers};
use rustix::process::Signal;
use serde_json::{Value, json};

/// All members name the same owner for a thousand keys, and the owners are many.
async fn owners_agree(ring: &Ring) {
    let mut owned = vec![0; ring.members.len()];
    for n in 0..1000 {
        let key = format!("key-{n}");
        let owner = ring.owner(&ring.members[0].address, &key).await;
        for member in &ring.members[1..] {
            assert_eq!(ring.owner(&member.address, &key).await, owner, "{key}");
        }
        let at = ring
            .members
            .iter()
            .position(|member| owner == json!(member.address));
        owned[at.expect("the owner is a member")] += 1;
    }
    assert!(owned.iter().all(|&keys| keys > 20), "{owned:?}");
}

/// A put through each member and a get through each other, for keys of all.
async fn values_are_everywhere(ring: &Ring) {
    for n in 0..10 {
        for through in &ring.members {
            let key = format!("key-{n}");
            let value = format!("{n} by {}", through.address);
            let put = json!({"key": key, "value": value});
            assert_eq!(ring.ask(&through.address, "kv", "put", put).await, "OK");
            for reader in &ring.members {
                let get = json!({"key": key});
                assert_eq!(
                    ring.ask(&reader.address, "kv", "get", get).await,
                    json!(value)
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_ring_agrees_about_everything() {
    let kinds = [Node, Node, Node, Heeler, Heeler];
    let ring = Ring::start(&kinds, RingHash::Fingerprint32).await;
    owners_agree(&ring).await;
    values_are_everywhere(&ring).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_of_ringpop_nodes_examples_is_found_out() {
    let kinds = [Node, Heeler, Node, Heeler, Node];
    let ring = Ring::start(&kinds, RingHash::Hash32V1).await;
    owners_agree(&ring).await;
    values_are_everywhere(&ring).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_our_own_may_be_first() {
    let mut ring = Ring::planned(5, RingHash::Fingerprint32).await;
    let addresses = ring.addresses.clone();
    ring.add(Heeler, &addresses[0]);
    ring.add(Heeler, &addresses[1]);
    ring.agrees().await;
    for address in &addresses[2..] {
        ring.add(Node, address);
    }
    ring.agrees().await;
    owners_agree(&ring).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_member_of_either_kind_is_faulty_everywhere() {
    let kinds = [Node, Node, Node, Heeler, Heeler];
    let mut ring = Ring::start(&kinds, RingHash::Fingerprint32).await;
    for kind in [Heeler, Node] {
        let at = ring
            .members
            .iter()
            .position(|member| member.kind == kind)
            .unwrap();
        let dead = ring.members.remove(at);
        dead.process.signal(Signal::KILL);
        ring.all_see(&dead.address, "faulty").await;
        ring.agrees().await;
    }
    values_are_everywhere(&ring).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stops_gently_is_out_at_once() {
    let kinds = [Node, Node, Node, Heeler, Heeler];
    let mut ring = Ring::start(&kinds, RingHash::Fingerprint32).await;
    let heeler = ring.members.pop().unwrap();
    let stopped = heeler.process.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    ring.all_see(&heeler.address, "faulty").await;
    ring.agrees().await;
    // And under the same address it comes back.
    ring.add(Heeler, &heeler.address);
    ring.agrees().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_leaves_and_comes_back() {
    let kinds = [Node, Node, Node, Heeler, Heeler];
    let ring = Ring::start(&kinds, RingHash::Fingerprint32).await;
    for member in [&ring.members[0], &ring.members[4]] {
        let admin = |endpoint| ring.ask(&member.address, "ringpop", endpoint, Value::Null);
        assert_eq!(admin("/admin/member/leave").await, "ok");
        ring.all_see(&member.address, "leave").await;
        let again = "/admin/member/leave";
        let refused = ring
            .try_ask(&member.address, "ringpop", again, Value::Null)
            .await;
        assert!(
            refused
                .unwrap_err()
                .contains("ringpop.invalid-leave.redundant")
        );
        assert_eq!(admin("/admin/member/join").await, "rejoined");
        ring.agrees().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stood_still_is_taken_in_again() {
    let kinds = [Node, Node, Node, Heeler, Heeler];
    let ring = Ring::start(&kinds, RingHash::Fingerprint32).await;
    for still in [&ring.members[1], &ring.members[3]] {
        still.process.signal(Signal::STOP);
        let others = ring
            .members
            .iter()
            .filter(|member| member.address != still.address);
        for other in others {
            while ring.status(&other.address, &still.address).await.as_deref() != Some("faulty") {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        still.process.signal(Signal::CONT);
        ring.agrees().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_ring_has_no_full_syncs() {
    for hash in [RingHash::Fingerprint32, RingHash::Hash32V1] {
        let kinds = [Node, Node, Node, Heeler, Heeler];
        let ring = Ring::start(&kinds, hash).await;
        // What was to be told has been told by now.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let before = full_syncs(&ring).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(full_syncs(&ring).await, before, "{hash:?}");
    }
}

/// Of each peer.
async fn full_syncs(ring: &Ring) -> Vec<Value> {
    let mut all = Vec::new();
    for member in ring
        .members
        .iter()
        .filter(|member| member.kind == Kind::Node)
    {
        let counts = ring.ask(&member.address, "kv", "counts", Value::Null).await;
        assert!(counts["ping.recv"].as_u64() > Some(10), "{counts}");
        all.push(json!([counts["full-sync"], counts["full-sync.reverse"]]));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_forwarded_and_bad_ones_refused() {
    let ring = Ring::start(&[Heeler, Heeler], RingHash::Fingerprint32).await;
    let (one, two) = (&ring.members[0].address, &ring.members[1].address);
    for n in 0..4 {
        let (key, value) = (format!("large-{n}"), "x".repeat(300_000 + n));
        let put = json!({"key": key, "value": value});
        assert_eq!(ring.ask(one, "kv", "put", put).await, "OK");
        assert_eq!(
            ring.ask(two, "kv", "get", json!({"key": key})).await,
            json!(value)
        );
    }
    for endpoint in ["get", "put"] {
        for body in [json!([]), json!({}), json!("x")] {
            let error = ring.try_ask(one, "kv", endpoint, body).await.unwrap_err();
            assert!(
                error.starts_with("bad request: the body must be"),
                "{error}"
            );
        }
    }
    let error = ring
        .try_ask(one, "kv", "put", json!({"key": "k"}))
        .await
        .unwrap_err();
    assert!(error.contains("it has no value"), "{error}");
    assert_eq!(
        ring.ask(one, "kv", "get", json!({"key": "none"})).await,
        "undefined"
    );
    assert_eq!(ring.ask(two, "kv", "health", Value::Null).await, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_answers_have_ringpop_nodes_fields() {
    let ring = Ring::start(&[Node, Heeler], RingHash::Fingerprint32).await;
    let (node, heeler) = (&ring.members[0].address, &ring.members[1].address);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let (theirs, ours) = (
        ring.stats(node).await.unwrap(),
        ring.stats(heeler).await.unwrap(),
    );
    assert_eq!(names(&ours), names(&theirs));
    for part in ["membership", "process", "protocol", "ring"] {
        assert_eq!(names(&ours[part]), names(&theirs[part]), "{part}");
    }
    let member = "/membership/members/0";
    assert_eq!(
        names(ours.pointer(member).unwrap()),
        names(theirs.pointer(member).unwrap())
    );
    let memory = "/process/memory";
    for name in names(ours.pointer(memory).unwrap()) {
        assert!(theirs["process"]["memory"].get(&name).is_some(), "{name}");
    }
    for (endpoint, body) in [
        ("/health", Value::Null),
        ("/admin/gossip/status", Value::Null),
        ("/admin/lookup", json!({"key": "a key"})),
        ("/admin/gossip/stop", Value::Null),
        ("/admin/gossip/status", Value::Null),
        ("/admin/gossip/start", Value::Null),
        ("/admin/reap", Value::Null),
        ("/admin/debugSet", Value::Null),
        ("/admin/debugClear", Value::Null),
        ("/admin/config/get", json!(["TEST_KEY"])),
    ] {
        let theirs = ring.ask(node, "ringpop", endpoint, body.clone()).await;
        let ours = ring.ask(heeler, "ringpop", endpoint, body).await;
        assert_eq!(ours, theirs, "{endpoint}");
    }
    let set = |level: Value| json!({ "gossipLogLevel": level });
    for level in ["debug", "warn", "off", "info", "error", "trace"] {
        let endpoint = "/admin/config/set";
        let body = set(level.into());
        let theirs = ring.ask(node, "ringpop", endpoint, body.clone()).await;
        let ours = ring.ask(heeler, "ringpop", endpoint, body).await;
        assert_eq!(ours, theirs, "{level}");
    }
    for level in [json!("warning"), json!("INFO"), json!(3), Value::Null] {
        let endpoint = "/admin/config/set";
        let refused = ring.try_ask(heeler, "ringpop", endpoint, set(level.clone()));
        let told = refused.await.unwrap_err();
        let text = "is none of trace, debug, info, warn, error, off";
        assert!(told.contains(text), "{level}: {told}");
    }
    for (endpoint, body) in [("/admin/lookup", json!({})), ("/nope", Value::Null)] {
        let theirs = ring
            .try_ask(node, "ringpop", endpoint, body.clone())
            .await
            .unwrap_err();
        let ours = ring
            .try_ask(heeler, "ringpop", endpoint, body)
            .await
            .unwrap_err();
        let kind = |text: &str| match serde_json::from_str::<Value>(text) {
            Ok(error) => error["type"].clone(),
            Err(_) => Value::from(text),
        };
        assert_eq!(kind(&ours), kind(&theirs), "{endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_is_shown_with_the_owners_of_keys() {
    let ring = Ring::start(&[Node, Heeler, Heeler], RingHash::Fingerprint32).await;
    let at = &ring.members[1].address;
    let show = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heeler"));
        let output = command
            .args(["ring", "--peer", at])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let table = show(&["a key"]);
    assert!(
        table.starts_with(&format!("{at}: 3 members, 3 in the ring; ")),
        "{table}"
    );
    assert!(
        !table.contains("differs") && !table.contains("no answer"),
        "{table}"
    );
    let json: Value = serde_json::from_str(&show(&["--json", "a key"])).unwrap();
    assert_eq!(json["owners"]["a key"], ring.owner(at, "a key").await);
    assert_eq!(json["members"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_seed_run_unchanged() {
    let ring = Ring::start(&[Heeler, Heeler, Heeler], RingHash::Fingerprint32).await;
    let tcurl = peers().join("node_modules/.bin/tcurl");
    let ask = |at: &str, endpoint: &str, body: &str| {
        let mut command = Command::new(&tcurl);
        command.args(["-p", at, "kv", endpoint, "-3", body, "--timeout", "5000"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["body"].clone()
    };
    let (first, third) = (&ring.members[0].address, &ring.members[2].address);
    assert_eq!(ask(first, "put", r#"{"key":"foo","value":"bar"}"#), "OK");
    assert_eq!(ask(third, "get", r#"{"key":"foo"}"#), "bar");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_go_to_a_file_and_to_prometheus() {
    let mut ring = Ring::planned(2, RingHash::Fingerprint32).await;
    let addresses = ring.addresses.clone();
    ring.add(Heeler, &addresses[0]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stats");
    let port = servers::free_port();
    let admin = format!("127.0.0.1:{port}");
    let more = ["--stats-file", file.to_str().unwrap(), "--admin", &admin];
    ring.add_with(&addresses[1], &more);
    ring.agrees().await;
    let name = addresses[1].replace(['.', ':'], "_");
    let line = format!("Z: ringpop.{name}.ping.send:");
    servers::wait_until("pings are in the file", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&line))
    });
    let (_, text) = servers::ask(port, "GET", "/metrics");
    let pings = text
        .lines()
        .find(|line| line.starts_with("heeler_ringpop_ping_send_total "));
    let pings: f64 = pings
        .expect(&text)
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(pings > 0.0, "{text}");
    let (status, text) = servers::ask(port, "GET", "/readyz");
    assert_eq!((status, &*text), (200, "ready\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_certificates_let_nobody_else_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (pair, ca) = (ours.sign("node", &["127.0.0.1"]), ours.ca());
    let [cert, key] = pair.paths();
    let tls = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    let mut ring = Ring::planned(3, RingHash::Fingerprint32).await;
    let addresses = ring.addresses.clone();
    ring.add_with(&addresses[0], &tls);
    ring.add_with(&addresses[1], &tls);
    let show = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heeler"));
        let output = command
            .args(["ring", "--peer", &addresses[0]])
            .args(args)
            .output()
            .unwrap();
        let (out, err) = (output.stdout, output.stderr);
        String::from_utf8(out).unwrap() + &String::from_utf8(err).unwrap()
    };
    let both = format!("{}: 2 members, 2 in the ring; ", addresses[0]);
    servers::wait_until("they have found each other", || {
        show(&tls).starts_with(&both)
    });
    // Neither one without a certificate, nor one with that of another authority, gets anything.
    assert!(show(&[]).contains("does not answer"), "{}", show(&[]));
    let (pair, ca) = (theirs.sign("node", &["127.0.0.1"]), theirs.ca());
    let [cert, key] = pair.paths();
    let other = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    assert!(show(&other).contains("does not answer"));
    let mixed = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", tls[5]];
    assert!(show(&mixed).contains("does not answer"));
    ring.add(Heeler, &addresses[2]);
    std::thread::sleep(Duration::from_secs(4));
    assert!(show(&tls).starts_with(&both), "{}", show(&tls));
}
