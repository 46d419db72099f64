//! Between clients and the proxy.

use std::net::TcpStream;

use rustls::ProtocolVersion;

use crate::authority::Authority;
use crate::proxy::{Proxy, pool, redis_cli, s_client};
use crate::servers::{Client, RedisServer, Value, free_port, request, wait_until};

/// An authority, a server in plain, and a proxy with TLS to its clients and more lines.
fn secured(lines: impl Fn(&Authority) -> Vec<String>) -> (Authority, RedisServer, Proxy) {
    let (authority, server, port) = (Authority::new(), RedisServer::start(), free_port());
    let mut all: Vec<String> = authority
        .sign("proxy", &["127.0.0.1", "localhost"])
        .lines("")
        .into();
    all.extend(lines(&authority));
    let text = pool("herd", port, &all, &[server.address()]);
    let proxy = Proxy::start(port, &text, &[]);
    (authority, server, proxy)
}

#[test]
fn redis_cli_speaks_tls_and_who_speaks_it_at_the_wrong_port_is_told() {
    let (authority, server, proxy) = secured(|_| Vec::new());
    let ca = authority.ca();
    let tls = ["--tls", "--cacert", &ca];
    let cli = |port: u16, args: &[&str]| redis_cli(port, &[&tls, args].concat());
    assert_eq!(cli(proxy.port, &["SET", "k", "v"]), (true, "OK\n".into()));
    assert_eq!(server.client().run("GET k"), Value::bulk("v"));
    let sni = cli(proxy.port, &["--sni", "localhost", "GET", "k"]);
    assert_eq!(sni, (true, "v\n".into()));
    let handshakes = "heeler_pool_tls_handshakes_total{pool=\"herd\"}";
    assert_eq!(proxy.number(handshakes), 2.0);
    let mut plain = Client::connect(("127.0.0.1", proxy.port));
    plain.send(b"*1\r\n$4\r\nPING\r\n");
    let alert = plain.read_to_close();
    assert!(
        !alert.windows(4).any(|w| w == b"PONG"),
        "{}",
        alert.escape_ascii()
    );
    proxy.logs(
        0,
        "TLS handshake failed: the other side speaks no TLS service=herd",
    );
    let failures = "heeler_pool_tls_failures_total{pool=\"herd\"}";
    wait_until("the failure is counted", || proxy.number(failures) == 1.0);
    let (_, body) = proxy.ask("GET", "/v1/pools");
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    let told = &told["pools"][0];
    assert_eq!(told["tls"]["client_auth"], "off");
    assert_eq!(told["tls"]["min_version"], "1.2");
    assert!(told["server_tls"].is_null());
    let expires = told["certificates"][0]["not_after_ms"].as_f64().unwrap() / 1000.0;
    let file = authority.dir().join("proxy.pem");
    let gauge = "heeler_tls_certificate_expiry_seconds{pool=\"herd\",file=\"";
    assert_eq!(
        proxy.number(&format!("{gauge}{}\"}}", file.display())),
        expires
    );
    // TLS where none is spoken.
    let port = free_port();
    let plain = Proxy::start(port, &pool("herd", port, &[], &[server.address()]), &[]);
    assert!(!cli(plain.port, &["GET", "k"]).0);
    plain.logs(0, "this port speaks no TLS");
}

#[test]
fn versions_older_than_the_oldest_are_refused() {
    let (_authority, _server, proxy) = secured(|_| Vec::new());
    assert!(s_client(proxy.port, &["-tls1_2"]).0);
    assert!(s_client(proxy.port, &["-tls1_3"]).0);
    assert!(!s_client(proxy.port, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).0);
    let (_authority, _server, proxy) = secured(|_| vec!["tls_min_version: 1.3".into()]);
    let (taken, told) = s_client(proxy.port, &["-tls1_3"]);
    assert!(taken && told.contains("TLSv1.3"), "{told}");
    let (taken, told) = s_client(proxy.port, &["-tls1_2"]);
    assert!(!taken && told.contains("alert protocol version"), "{told}");
}

#[test]
fn certificates_of_clients_are_checked_as_the_file_says() {
    let stranger = Authority::new();
    for (auth, without, with_foreign) in [
        ("", false, false),
        ("tls_client_auth: require", false, false),
        ("tls_client_auth: request", true, false),
        ("tls_client_auth: off", true, true),
    ] {
        let (authority, _server, proxy) = secured(|authority| {
            let ca = format!("tls_ca: {}", authority.ca());
            [ca, auth.into()]
                .into_iter()
                .filter(|l| !l.is_empty())
                .collect()
        });
        let pair = authority.sign("client", &["client"]);
        let ca = authority.ca();
        let works = |shown: Option<[&str; 2]>| {
            let mut args = vec!["--tls", "--cacert", &ca];
            if let Some([cert, key]) = shown {
                args.extend(["--cert", cert, "--key", key]);
            }
            args.push("PING");
            redis_cli(proxy.port, &args) == (true, "PONG\n".into())
        };
        assert!(works(Some(pair.paths())), "{auth}");
        assert_eq!(works(None), without, "{auth}");
        let foreign = stranger.sign("client", &["client"]);
        assert_eq!(works(Some(foreign.paths())), with_foreign, "{auth}");
        let old = authority.expired("old", &["client"]);
        assert_eq!(works(Some(old.paths())), with_foreign, "{auth}");
        if !without {
            proxy.logs(0, "TLS handshake failed: it shows no certificate");
        }
    }
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let (authority, server, port) = (Authority::new(), RedisServer::start(), free_port());
    let pairs = [
        authority.sign("first", &["first.test", "127.0.0.1"]),
        authority.sign("second", &["second.test"]),
        authority.sign("wild", &["*.wild.test"]),
    ];
    // The last has its key in the file of the certificate.
    let joined = authority.dir().join("joined.pem");
    let last = authority.sign("last", &["last.test"]);
    let both = [&last.key, &last.cert].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&joined, both.concat()).unwrap();
    let list = |key: &str, of: fn(&crate::authority::Pair) -> &std::path::PathBuf| {
        let items = pairs
            .iter()
            .map(|pair| format!("\n   - {}", of(pair).display()));
        format!("{key}:{}", items.collect::<String>())
    };
    let lines = [list("tls_cert", |p| &p.cert), list("tls_key", |p| &p.key)];
    let other = free_port();
    let joined = format!("tls_cert:\n   - {}", joined.display());
    let text = pool("herd", port, &lines, &[server.address()])
        + &pool("other", other, &[joined], &[server.address()]);
    let proxy = Proxy::start(port, &text, &[]);
    let config = authority.client(None);
    for (name, pair) in [
        ("first.test", &pairs[0]),
        ("second.test", &pairs[1]),
        ("a.wild.test", &pairs[2]),
        ("127.0.0.1", &pairs[0]),
    ] {
        let mut client = Client::over_tls(("127.0.0.1", port), &config, name).expect(name);
        assert_eq!(
            client.tls().peer_certificates().unwrap(),
            [pair.der()],
            "{name}"
        );
        assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    }
    assert!(Client::over_tls(("127.0.0.1", port), &config, "wild.test").is_err());
    let (_, told) = s_client(port, &["-servername", "unknown.test"]);
    assert!(told.contains("CN = first"), "{told}");
    let mut client = Client::over_tls(("127.0.0.1", other), &config, "last.test").unwrap();
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    drop(proxy);
}

#[test]
fn long_pipelines_and_big_values_pass() {
    let (authority, _server, proxy) = secured(|_| Vec::new());
    let mut client = proxy.client(&authority.client(None));
    assert_eq!(
        client.tls().protocol_version(),
        Some(ProtocolVersion::TLSv1_3)
    );
    let big: Vec<u8> = (0..16 << 20).map(|i: u32| ((i * 31) >> 3) as u8).collect();
    assert_eq!(client.call(&[b"SET", b"big", &big]), Value::ok());
    assert!(
        client.run("GET big") == Value::Bulk(big),
        "16 MiB come back as they were"
    );
    let value = vec![b'x'; 1000];
    for round in 0..20 {
        let keys: Vec<String> = (0..500).map(|i| format!("k:{round}:{i}")).collect();
        let mut bytes = Vec::new();
        for key in &keys {
            bytes.extend(request(&[b"SET", key.as_bytes(), &value]));
            bytes.extend(request(&[b"ECHO", key.as_bytes()]));
            bytes.extend(request(&[b"GET", key.as_bytes()]));
        }
        client.send(&bytes);
        for key in keys {
            assert_eq!(client.read_reply(), Value::ok());
            assert_eq!(client.read_reply(), Value::bulk(key));
            assert_eq!(client.read_reply(), Value::bulk(&value));
        }
    }
}

#[test]
fn who_closes_one_side_gets_the_replies_and_a_proper_end() {
    let (authority, _server, proxy) = secured(|_| Vec::new());
    let config = authority.client(None);
    let mut client = proxy.client(&config);
    client.send(b"SET k v\r\nGET k\r\n");
    client.close_writing();
    // An end without close_notify would be an error here.
    assert_eq!(client.read_to_close(), b"+OK\r\n$1\r\nv\r\n");
    let mut client = proxy.client(&config);
    client.send(b"QUIT\r\n");
    assert_eq!(client.read_to_close(), b"+OK\r\n");
    // One that is cut off without a word counts as closed by the client.
    let mut client = proxy.client(&config);
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    drop(client);
    let closed = "heeler_pool_client_eof_total{pool=\"herd\"}";
    wait_until("all three are counted", || proxy.number(closed) == 3.0);
}

#[test]
fn who_does_not_shake_hands_holds_up_nobody_and_is_dropped() {
    let (authority, _server, proxy) = secured(|_| Vec::new());
    let config = authority.client(None);
    let silent: Vec<Client> = (0..50)
        .map(|_| Client::connect(("127.0.0.1", proxy.port)))
        .collect();
    for _ in 0..10 {
        let mut client = proxy.client(&config);
        assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    }
    for mut client in silent {
        assert_eq!(client.read_to_close(), b"");
    }
    proxy.logs(0, "TLS handshake failed: not done within 5000 ms");
    let lines = proxy
        .process
        .stderr()
        .matches("TLS handshake failed")
        .count();
    assert!(lines < 10, "{lines} lines for 50 failures");
    let failures = "heeler_pool_tls_failures_total{pool=\"herd\"}";
    wait_until("all are counted", || proxy.number(failures) == 50.0);
    // The end of the process does not wait for them.
    let _silent = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    proxy.process.signal(rustix::process::Signal::TERM);
    assert_eq!(proxy.process.wait().code, Some(0));
}

#[test]
fn a_session_is_resumed() {
    let (authority, _server, proxy) = secured(|_| Vec::new());
    let config = authority.client(None);
    let kind = |client: &mut Client| {
        assert_eq!(client.run("PING"), Value::Status("PONG".into()));
        client.tls().handshake_kind().unwrap()
    };
    assert_eq!(
        kind(&mut proxy.client(&config)),
        rustls::HandshakeKind::Full
    );
    assert_eq!(
        kind(&mut proxy.client(&config)),
        rustls::HandshakeKind::Resumed
    );
    // A reload that changes nothing of TLS forgets no session.
    proxy.process.signal(rustix::process::Signal::HUP);
    proxy.logs(0, "reloaded: nothing has changed");
    assert_eq!(
        kind(&mut proxy.client(&config)),
        rustls::HandshakeKind::Resumed
    );
}

#[test]
fn a_unix_socket_speaks_tls_too() {
    let (authority, server, port) = (Authority::new(), RedisServer::start(), free_port());
    let path = authority.dir().join("herd.sock");
    let pair = authority.sign("proxy", &["127.0.0.1", "herd.test"]);
    let inner = servers_at_unix(&path, &pair, &server);
    // In front of it a pool that takes the socket for its server.
    let lines = [
        "server_tls: true".into(),
        format!("server_tls_ca: {}", authority.ca()),
        "server_tls_name: herd.test".into(),
    ];
    let outer = pool("outer", port, &lines, &[path.display().to_string()]);
    let proxy = Proxy::start(port, &(inner + &outer), &[]);
    let mut client = Client::connect(("127.0.0.1", proxy.port));
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(server.client().run("GET k"), Value::bulk("v"));
}

fn servers_at_unix(
    path: &std::path::Path,
    pair: &crate::authority::Pair,
    server: &RedisServer,
) -> String {
    let lines = pair.lines("");
    let settings = ["redis: true", "timeout: 5000", &lines[0], &lines[1]];
    crate::servers::pool(
        "inner",
        path.to_str().unwrap(),
        &settings,
        &[server.address()],
    )
}

#[test]
fn whoever_breaks_the_protocol_harms_nobody() {
    let (authority, _server, proxy) = secured(|_| Vec::new());
    let config = authority.client(None);
    let mut client = proxy.client(&config);
    let hello: Vec<u8> = vec![22, 3, 1, 0, 4, 1, 0, 0, 0];
    let long: Vec<u8> = [&[22, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat();
    // What is no beginning of a handshake ends the connection, and what is one waits for the rest.
    for (bytes, ends) in [
        (&b"\x16"[..], false),
        (b"\x16\x03\x01", false),
        (b"\x16\x03\x01\x00\x00", true),
        (b"\x15\x03\x03\x00\x02\x02\x28", true),
        (b"\x17\x03\x03\x00\x01x", true),
        (b"\x80\x2e\x01\x03\x01", true),
        (b"GET / HTTP/1.1\r\n\r\n", true),
        (&hello, true),
        (&long, true),
    ] {
        let mut stranger = Client::connect(("127.0.0.1", proxy.port));
        // It may be closed before all is sent.
        let _ = stranger.try_send(bytes);
        if ends {
            let answer = stranger.read_to_close();
            let is_reply = answer.starts_with(b"+") || answer.starts_with(b"-");
            assert!(!is_reply, "{}", answer.escape_ascii());
        }
        drop(stranger);
        assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    }
    assert_eq!(proxy.process.stop().code, Some(0));
}
