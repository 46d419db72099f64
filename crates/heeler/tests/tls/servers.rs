//! Between the proxy and its servers.

use std::io::Write as _;

use crate::authority::{Authority, Pair};
use crate::proxy::{Proxy, pool, run};
use crate::servers::{Client, Memcached, Process, Value, free_port, request, wait_until};

/// A redis-server that speaks TLS at its port, and asks for certificates or not.
pub fn redis(authority: &Authority, pair: &Pair, asks: &str, port: u16) -> Process {
    let ([cert, key], ca, port_text) = (pair.paths(), authority.ca(), port.to_string());
    let home = authority.dir().to_str().unwrap();
    let mut args = vec![
        "--port",
        "0",
        "--tls-port",
        &port_text,
        "--bind",
        "127.0.0.1",
    ];
    args.extend(["--tls-cert-file", cert, "--tls-key-file", key]);
    args.extend(["--tls-ca-cert-file", &ca, "--tls-auth-clients", asks]);
    args.extend(["--dir", home, "--save", "", "--appendonly", "no"]);
    let mut process = Process::spawn("redis-server", "the Debian package redis-server", &args);
    process.wait_until_serves(port);
    process
}

fn to_servers(authority: &Authority, more: &[&str]) -> Vec<String> {
    let ca = format!("server_tls_ca: {}", authority.ca());
    let lines = ["server_tls: true".into(), ca];
    lines
        .into_iter()
        .chain(more.iter().map(|l| l.to_string()))
        .collect()
}

#[test]
fn a_server_that_asks_for_certificates_gets_ours() {
    let (authority, at, port) = (Authority::new(), free_port(), free_port());
    let _redis = redis(
        &authority,
        &authority.sign("redis", &["127.0.0.1"]),
        "yes",
        at,
    );
    let server = [format!("127.0.0.1:{at}")];
    let shown = authority.sign("proxy", &["proxy"]).lines("server_");
    let with = to_servers(
        &authority,
        &[&shown[0], &shown[1], "server_tls_min_version: 1.3"],
    );
    let proxy = Proxy::start(port, &pool("herd", port, &with, &server), &[]);
    let mut client = Client::connect(("127.0.0.1", port));
    assert_eq!(client.run("SET k v"), Value::ok());
    let big: Vec<u8> = (0..16 << 20).map(|i: u32| ((i * 31) >> 3) as u8).collect();
    assert_eq!(client.call(&[b"SET", b"big", &big]), Value::ok());
    assert!(
        client.run("GET big") == Value::Bulk(big),
        "16 MiB come back as they were"
    );
    let mut bytes = Vec::new();
    for i in 0..20_000 {
        bytes.extend(request(&[b"SET", format!("k:{i}").as_bytes(), b"value"]));
    }
    client.send(&bytes);
    for i in 0..20_000 {
        assert_eq!(client.read_reply(), Value::ok(), "{i}");
    }
    let server_label = "{pool=\"herd\",server=\"s0\"}";
    let handshakes = format!("heeler_server_tls_handshakes_total{server_label}");
    assert_eq!(proxy.number(&handshakes), 1.0);
    let (_, told) = proxy.ask("GET", "/v1/pools");
    assert!(
        told.contains("\"server_tls\":{\"min_version\":\"1.3\",\"name\":null}"),
        "{told}"
    );
    // Without one the server hangs up, and the client is told why.
    let (status, told) = proxy.reload(&pool("herd", port, &to_servers(&authority, &[]), &server));
    assert_eq!(status, 200, "{told}");
    let told = client.run("GET k");
    let refused = "ERR TLS failed: the other side refuses: CertificateRequired";
    assert_eq!(told, Value::Error(refused.into()));
    proxy.logs(
        0,
        "lost a connection to a server: TLS failed: the other side refuses",
    );
    let failures = format!("heeler_server_tls_failures_total{server_label}");
    assert!(proxy.number(&failures) >= 1.0);
    let (status, told) = proxy.reload(&pool("herd", port, &with, &server));
    assert_eq!(status, 200, "{told}");
    wait_until("the server is reached again", || {
        client.run("GET k") == Value::bulk("v")
    });
}

#[test]
fn a_server_whose_certificate_is_not_good_is_not_spoken_to() {
    let (authority, stranger, at) = (Authority::new(), Authority::new(), free_port());
    let _redis = redis(
        &authority,
        &authority.sign("redis", &["redis.test"]),
        "no",
        at,
    );
    let old_at = free_port();
    let old = authority.expired("old", &["redis.test"]);
    let _old = redis(&authority, &old, "no", old_at);
    let old_named = [
        "server_tls: true".into(),
        format!("server_tls_ca: {}", old.cert.display()),
        "server_tls_name: redis.test".into(),
    ];
    let plain = Memcached::start();
    let named = "server_tls_name: redis.test";
    let not_trusted = "its certificate is signed by no authority that is trusted here";
    let (at, old_at) = (format!("127.0.0.1:{at}"), format!("127.0.0.1:{old_at}"));
    for (lines, server, reason) in [
        (to_servers(&stranger, &[named]), &at, not_trusted),
        (vec!["server_tls: true".into()], &at, not_trusted),
        (
            to_servers(&authority, &[]),
            &at,
            "certificate not valid for name \"127.0.0.1\"",
        ),
        (
            to_servers(&authority, &["server_tls_name: other.test"]),
            &at,
            "\"other.test\"",
        ),
        (
            to_servers(&authority, &[named]),
            &old_at,
            "its certificate has expired",
        ),
        (old_named.into(), &old_at, "its certificate has expired"),
        (
            to_servers(&authority, &[named]),
            &plain.address(),
            "the other side speaks no TLS",
        ),
    ] {
        let port = free_port();
        let proxy = Proxy::start(
            port,
            &pool("herd", port, &lines, std::slice::from_ref(server)),
            &[],
        );
        let told = Client::connect(("127.0.0.1", port)).run("GET k").text();
        let begins = "ERR TLS handshake failed: ";
        assert!(
            told.starts_with(begins) && told.contains(reason),
            "{reason}: {told}"
        );
        proxy.logs(0, "lost a connection to a server: TLS handshake failed: ");
    }
    let port = free_port();
    let text = pool("herd", port, &to_servers(&authority, &[named]), &[at]);
    let _proxy = Proxy::start(port, &text, &[]);
    assert_eq!(
        Client::connect(("127.0.0.1", port)).run("SET k v"),
        Value::ok()
    );
}

#[test]
fn a_certificate_that_signs_itself_may_be_named() {
    let (authority, at, port) = (Authority::new(), free_port(), free_port());
    let [cert, key] = ["self.pem", "self.key"].map(|name| authority.dir().join(name));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let mut args = vec![
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ];
    args.extend(["-keyout", key, "-out", cert, "-subj", "/CN=itself"]);
    args.extend(["-addext", "subjectAltName=DNS:itself.test"]);
    let (done, told) = run("openssl", "the Debian package openssl", &args);
    assert!(done, "{told}");
    let pair = Pair {
        cert: cert.into(),
        key: key.into(),
    };
    let _redis = redis(&authority, &pair, "no", at);
    let server = [format!("127.0.0.1:{at}")];
    let (ca, on) = (
        format!("server_tls_ca: {cert}"),
        "server_tls: true".to_owned(),
    );
    let name = |name: &str| format!("server_tls_name: {name}");
    let text = |lines: &[String]| pool("herd", port, lines, &server);
    let named = text(&[on.clone(), ca.clone(), name("itself.test")]);
    let proxy = Proxy::start(port, &named, &["--no-watch"]);
    let mut client = Client::connect(("127.0.0.1", port));
    assert_eq!(client.run("SET k v"), Value::ok());
    let other_ca = format!("server_tls_ca: {}", authority.ca());
    for lines in [
        [on.clone(), ca, name("other.test")],
        [on, other_ca, name("itself.test")],
    ] {
        assert_eq!(proxy.reload(&text(&lines)).0, 200);
        let told = client.run("GET k").text();
        assert!(told.starts_with("ERR TLS handshake failed: "), "{told}");
    }
}

#[test]
fn without_a_file_the_authorities_of_the_system_are_trusted() {
    let (authority, at, port) = (Authority::new(), free_port(), free_port());
    let _redis = redis(
        &authority,
        &authority.sign("redis", &["127.0.0.1"]),
        "no",
        at,
    );
    let (ca, server) = (authority.ca(), format!("127.0.0.1:{at}"));
    let text = pool("herd", port, &["server_tls: true".into()], &[server]);
    let _proxy = Proxy::start_in(port, &text, &[], &[("SSL_CERT_FILE", &ca)]);
    assert_eq!(
        Client::connect(("127.0.0.1", port)).run("SET k v"),
        Value::ok()
    );
}

#[test]
fn servers_are_probed_over_tls() {
    let (authority, port) = (Authority::new(), free_port());
    let pair = authority.sign("redis", &["127.0.0.1"]);
    let ports = [free_port(), free_port()];
    let _stays = redis(&authority, &pair, "no", ports[0]);
    let goes = redis(&authority, &pair, "no", ports[1]);
    let lines = to_servers(
        &authority,
        &[
            "auto_eject_hosts: true",
            "server_retry_timeout: 100",
            "probe_interval: 50",
        ],
    );
    let servers = ports.map(|port| format!("127.0.0.1:{port}"));
    let proxy = Proxy::start(port, &pool("herd", port, &lines, &servers), &[]);
    let handshakes = "heeler_server_tls_handshakes_total{pool=\"herd\",server=\"s1\"}";
    wait_until("it is probed", || proxy.number(handshakes) >= 2.0);
    drop(goes);
    let ejected = "heeler_server_ejected{pool=\"herd\",server=\"s1\"}";
    wait_until("it is ejected", || proxy.number(ejected) == 1.0);
    let _back = redis(&authority, &pair, "no", ports[1]);
    wait_until("it is put back", || proxy.number(ejected) == 0.0);
}

#[test]
fn memcached_pools_speak_tls_on_both_sides() {
    let (authority, at, port) = (Authority::new(), free_port(), free_port());
    let pair = authority.sign("both", &["127.0.0.1"]);
    let [cert, key] = pair.paths();
    let (options, at_text) = (
        format!("ssl_chain_cert={cert},ssl_key={key}"),
        at.to_string(),
    );
    let mut args = vec!["-l", "127.0.0.1", "-p", &at_text, "-U", "0", "-u", "root"];
    args.extend(["-Z", "-o", &options]);
    let mut memcached = Process::spawn("memcached", "the Debian package memcached", &args);
    memcached.wait_until_serves(at);
    let mut lines = to_servers(&authority, &["timeout: 5000", "probe_interval: 50"]);
    lines.extend(pair.lines(""));
    lines.extend(pair.lines("server_"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let server = format!("127.0.0.1:{at}");
    let text = crate::servers::pool("herd", &format!("127.0.0.1:{port}"), &lines, &[server]);
    let proxy = Proxy::start(port, &text, &[]);
    let mut client = proxy.client(&authority.client(None));
    let value = vec![b'x'; 1_000_000];
    client.send(b"set big 0 0 1000000\r\n");
    client.send(&value);
    client.send(b"\r\nget big\r\nmn\r\n");
    let stored = b"STORED\r\nVALUE big 0 1000000\r\n";
    assert_eq!(client.read_exactly(stored.len()), stored);
    assert!(client.read_exactly(value.len()) == value);
    assert_eq!(client.read_exactly(11), b"\r\nEND\r\nMN\r\n");
    let sets = [
        &b"set k 0 0 2000\r\n"[..],
        &value[..2000],
        b"\r\nget none\r\n",
    ]
    .concat();
    client.send(&sets.repeat(200));
    let replies = b"STORED\r\nEND\r\n".repeat(200);
    assert!(client.read_exactly(replies.len()) == replies);
    let handshakes = "heeler_server_tls_handshakes_total{pool=\"herd\",server=\"s0\"}";
    wait_until("it is probed", || proxy.number(handshakes) >= 3.0);
    let (_, metrics) = proxy.ask("GET", "/metrics");
    let gauge = "heeler_tls_certificate_expiry_seconds{";
    assert_eq!(
        metrics.matches(gauge).count(),
        1,
        "once for a file: {metrics}"
    );
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"get k\r\n").unwrap();
    proxy.logs(0, "TLS handshake failed: the other side speaks no TLS");
}
