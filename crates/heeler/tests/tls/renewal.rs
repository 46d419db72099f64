//! Certificates that are renewed while clients are connected.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;

use crate::authority::{Authority, Pair};
use crate::load::Load;
use crate::proxy::{Proxy, pool};
use crate::servers::{Client, RedisServer, Value, free_port, wait_until};

/// Puts a pair in the place of another, each file by a rename, as certbot does.
fn replace(old: &Pair, new: &Pair) {
    for (from, to) in [(&new.cert, &old.cert), (&new.key, &old.key)] {
        let aside = to.with_extension("new");
        fs::copy(from, &aside).unwrap();
        fs::rename(&aside, to).unwrap();
    }
}

/// The certificate that a new client is shown.
fn shown(proxy: &Proxy, authority: &Authority) -> Vec<u8> {
    let mut client = proxy.client(&authority.client(None));
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    client.tls().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_renewed_certificate_is_taken_and_no_connection_drops() {
    let authority = Authority::new();
    let servers = [RedisServer::start(), RedisServer::start()];
    let servers = servers.each_ref().map(RedisServer::address);
    let port = free_port();
    let pair = authority.sign("proxy", &["127.0.0.1"]);
    let text = pool("herd", port, &pair.lines(""), &servers);
    let proxy = Proxy::start(port, &text, &[]);
    let config = authority.client(None);
    let connect = move || Client::over_tls(("127.0.0.1", port), &config, "127.0.0.1").unwrap();
    let load = Load::start(4, connect);
    for how in ["watch", "hangup", "admin", "watch"] {
        let (new, before) = (authority.sign("next", &["127.0.0.1"]), proxy.logged());
        replace(&pair, &new);
        match how {
            "hangup" => proxy.process.signal(Signal::HUP),
            "admin" => {
                let (status, told) = proxy.ask("POST", "/v1/reload");
                // The watch may have been quicker.
                let is_done = ["new certificates", "\"changes\":[]"];
                let is_done = is_done.iter().any(|word| told.contains(word));
                assert!(status == 200 && is_done, "{told}");
            }
            _ => {}
        }
        let at = format!("pool 'herd' at 127.0.0.1:{port}: new certificates");
        proxy.logs(before, &at);
        assert_eq!(shown(&proxy, &authority), new.der().to_vec(), "{how}");
        load.goes_on(load.rounds());
    }
    load.stop();
}

#[test]
fn a_folder_of_certificates_may_change_behind_a_link() {
    let (authority, server, port) = (Authority::new(), RedisServer::start(), free_port());
    let at = |name: &str| authority.dir().join(name);
    let renew = |number: usize| {
        let (folder, pair) = (format!("{number}"), authority.sign("next", &["127.0.0.1"]));
        fs::create_dir(at(&folder)).unwrap();
        fs::copy(&pair.cert, at(&folder).join("tls.crt")).unwrap();
        fs::copy(&pair.key, at(&folder).join("tls.key")).unwrap();
        symlink(&folder, at("aside")).unwrap();
        fs::rename(at("aside"), at("now")).unwrap();
        pair
    };
    renew(1);
    let linked = Pair {
        cert: at("now").join("tls.crt"),
        key: at("now").join("tls.key"),
    };
    let text = pool("herd", port, &linked.lines(""), &[server.address()]);
    let proxy = Proxy::start(port, &text, &[]);
    let new = renew(2);
    proxy.logs(0, "now/tls.crt has changed");
    proxy.logs(0, "new certificates");
    assert_eq!(shown(&proxy, &authority), new.der().to_vec());
}

#[test]
fn what_cannot_be_used_is_refused_and_the_old_one_stays() {
    let (authority, server, port) = (Authority::new(), RedisServer::start(), free_port());
    let pair = authority.sign("proxy", &["127.0.0.1"]);
    let text = pool("herd", port, &pair.lines(""), &[server.address()]);
    let proxy = Proxy::start(port, &text, &["--no-watch"]);
    let old = pair.der().to_vec();
    let mut client = proxy.client(&authority.client(None));
    let other = authority.sign("other", &["127.0.0.1"]);
    fs::copy(&other.cert, &pair.cert).unwrap();
    let (status, told) = proxy.ask("POST", "/v1/reload");
    assert_eq!(status, 422);
    let file = proxy.file.path();
    for words in [
        file,
        "pool 'herd'",
        "tls_key",
        "the key is not that of the first certificate",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    proxy.logs(0, "reload refused, all stays as it was");
    fs::remove_file(&pair.cert).unwrap();
    let (status, told) = proxy.ask("POST", "/v1/reload");
    assert!(
        status == 422 && told.contains("cannot read it: No such file"),
        "{told}"
    );
    assert_eq!(shown(&proxy, &authority), old);
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    // An expired one is taken, for there is no better, and told.
    replace(&pair, &authority.expired("old", &["127.0.0.1"]));
    let (status, _) = proxy.ask("POST", "/v1/reload");
    assert_eq!(status, 200);
    proxy.logs(0, "the certificate has expired on 2020-02-03 00:00 UTC");
    let gauge = format!(
        "heeler_tls_certificate_expiry_seconds{{pool=\"herd\",file=\"{}\"}}",
        pair.cert.display()
    );
    assert_eq!(proxy.number(&gauge), 1_580_688_000.0);
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
}

#[test]
fn tls_is_turned_on_and_off_for_connections_to_come() {
    let (authority, at, port) = (Authority::new(), free_port(), free_port());
    let pair = authority.sign("both", &["127.0.0.1"]);
    let _redis = crate::to_servers::redis(&authority, &pair, "no", at);
    let server = [format!("127.0.0.1:{at}")];
    let to_servers = [
        "server_tls: true".into(),
        format!("server_tls_ca: {}", authority.ca()),
    ];
    let plain = pool("herd", port, &to_servers, &server);
    let both = [&to_servers[..], &pair.lines("")].concat();
    let proxy = Proxy::start(port, &plain, &["--no-watch"]);
    let mut before = Client::connect(("127.0.0.1", port));
    assert_eq!(before.run("SET k v"), Value::ok());
    let (status, told) = proxy.reload(&pool("herd", port, &both, &server));
    assert_eq!(status, 200, "{told}");
    assert!(told.to_string().contains("tls on"), "{told}");
    assert_eq!(before.run("GET k"), Value::bulk("v"));
    let mut secured = proxy.client(&authority.client(None));
    assert_eq!(secured.run("GET k"), Value::bulk("v"));
    // The certificate of the servers' authority is renewed: connections to them stay.
    let handshakes = "heeler_server_tls_handshakes_total{pool=\"herd\",server=\"s0\"}";
    let count = proxy.number(handshakes);
    let both_cas = [&authority, &Authority::new()].map(|a| fs::read_to_string(a.ca()).unwrap());
    fs::write(Path::new(&authority.ca()), both_cas.concat()).unwrap();
    let (status, told) = proxy.ask("POST", "/v1/reload");
    assert!(status == 200 && told.contains("new certificates"), "{told}");
    assert_eq!(secured.run("GET k"), Value::bulk("v"));
    assert_eq!(proxy.number(handshakes), count);
    let (status, told) = proxy.reload(&plain);
    assert!(
        status == 200 && told.to_string().contains("tls off"),
        "{told}"
    );
    assert_eq!(secured.run("GET k"), Value::bulk("v"));
    let mut after = Client::connect(("127.0.0.1", port));
    assert_eq!(after.run("GET k"), Value::bulk("v"));
    // To servers, too: one that only speaks TLS cannot be reached in plain.
    let (status, _) = proxy.reload(&pool("herd", port, &[], &server));
    assert_eq!(status, 200);
    assert!(matches!(after.run("GET k"), Value::Error(_)));
    let (status, _) = proxy.reload(&plain);
    assert_eq!(status, 200);
    wait_until("the server is reached again", || {
        after.run("GET k") == Value::bulk("v")
    });
}
