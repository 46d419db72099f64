//! `heeler call`: the program itself, against a channel that the test serves, and beside tcurl.

#[expect(dead_code, reason = "the tests of TLS use more of it")]
#[path = "tls/authority.rs"]
mod authority;
#[path = "call/bench.rs"]
mod bench;
#[path = "call/beside_tcurl.rs"]
mod beside_tcurl;
#[path = "call/program.rs"]
mod program;
#[path = "call/served.rs"]
mod served;
#[path = "call/tls.rs"]
mod tls;

use std::fs;

use program::{Ended, heeler, heeler_reading};
use served::Served;

/// The arguments of a call of `kv`.
fn call(server: &Served, words: &[&str]) -> Ended {
    heeler(&[&["-p", &server.address, "kv"], words].concat())
}

#[test]
fn answers_are_a_line_of_json() {
    let server = Served::start();
    let cases = [
        (
            &["get", "-3", r#"{ "key": "foo" }"#][..],
            r#"{"value":"foo"}"#,
        ),
        (&["get", "[", "--key", "foo", "]"], r#"{"value":"foo"}"#),
        // What is no JSON is a string.
        (&["word"], r#""ok""#),
        (&["bytes"], r#"{"type":"Buffer","data":[255]}"#),
        (&["nothing"], "null"),
        // Numbers and order are the server's.
        (&["numbers"], r#"{"b":1.50,"a":12345678901234567890}"#),
    ];
    for (words, body) in cases {
        let ended = call(&server, words);
        let line = format!(r#"{{"ok":true,"head":null,"body":{body},"headers":{{"as":"json"}}}}"#);
        assert_eq!(ended.stdout, line + "\n", "{words:?} {}", ended.stderr);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn exit_codes() {
    let server = Served::start();
    let cases = [
        (&["get", "{}"][..], 0),
        (&["fail", "Timeout"], 1),
        (&["fail", "Cancelled"], 2),
        (&["fail", "Busy"], 3),
        (&["fail", "Declined"], 4),
        (&["fail", "Unexpected"], 5),
        (&["fail", "BadRequest"], 6),
        (&["no such endpoint"], 6),
        (&["fail", "Network"], 7),
        (&["fail", "Unhealthy"], 8),
        (&["never", "--timeout", "100"], 1),
        (&["error"], 126),
        (&["error", "--raw"], 126),
        (&["get", "{", "--timeout", "100"], 125),
        (&["get", "--timeout", "0"], 125),
        (&["get", "--nonsense"], 125),
        (&["get", "{}", "{}"], 125),
        (&["get", "[", "--key"], 125),
        (&["get", "{}", "-3", "{}"], 125),
        (&["get", "-3", "@there/is/none"], 125),
        (&["KV::get"], 125),
        (&["KV::get", "-t", "there/is/none.thrift"], 125),
        (&["get", "--raw", "--json"], 125),
        (&[], 125),
        (&["get", "--help"], 0),
        (&["-v"], 0),
    ];
    for (words, code) in cases {
        let ended = call(&server, words);
        assert_eq!(
            ended.code, code,
            "{words:?}\n{}{}",
            ended.stdout, ended.stderr
        );
        let said = !ended.stderr.is_empty() || !ended.stdout.is_empty();
        assert!(said, "{words:?} ends without a word");
    }
    let health = |service| heeler(&["-p", &server.address, service, "--health"]);
    assert_eq!(
        (health("kv").code, health("kv").stdout.as_str()),
        (0, "OK\n")
    );
    let sick = health("sick");
    assert_eq!(
        (sick.code, sick.stdout.as_str()),
        (124, "NOT OK\nnot at all\n")
    );
    let unknown = health("nobody");
    assert_eq!(unknown.code, 125);
    assert!(
        unknown.stdout.starts_with("NOT OK\n{\"ok\":false,"),
        "{}",
        unknown.stdout
    );
}

#[test]
fn a_peer_that_is_not_there() {
    let server = Served::start();
    let nobody = served::nobody();
    let ended = heeler(&["-p", &nobody, "kv", "get"]);
    assert_eq!(ended.code, 7);
    let message = format!("TchannelSocketError: cannot connect to {nobody}: Connection refused");
    assert!(ended.stderr.starts_with(&message), "{}", ended.stderr);
    // Another one is.
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts.json");
    fs::write(&hosts, format!(r#"["{nobody}","{}"]"#, server.address)).unwrap();
    for _ in 0..4 {
        let both = heeler(&["-p", &nobody, "-p", &server.address, "kv", "get"]);
        assert_eq!(both.code, 0, "{}", both.stderr);
        let listed = heeler(&["-P", hosts.to_str().unwrap(), "kv", "get"]);
        assert_eq!(listed.code, 0, "{}", listed.stderr);
    }
    for (args, said) in [
        (&["kv", "get"][..], "say where to call: -p HOST:PORT"),
        (
            &["-p", "nowhere", "kv", "get"],
            "\"nowhere\" is no peer: write HOST:PORT",
        ),
        (
            &["-P", "there/is/none", "kv", "get"],
            "there/is/none: No such file",
        ),
    ] {
        let ended = heeler(args);
        assert_eq!(ended.code, 125);
        let said = format!("heeler: {said}");
        assert!(ended.stderr.starts_with(&said), "{}", ended.stderr);
    }
}

#[test]
fn names_are_looked_up_here() {
    let server = Served::start();
    let port = server.address.rsplit_once(':').unwrap().1;
    let ended = heeler(&["-p", &format!("localhost:{port}"), "kv", "get"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn what_the_server_gets() {
    let server = Served::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body");
    fs::write(&file, "{\"from\": \"a file\"}\n").unwrap();
    let at_file = format!("@{}", file.display());
    let json = "as=json cn=tcurl";
    let cases = [
        (&[][..], json, "", "{}"),
        (
            &["-3", r#"{"a": [1, 2.50]}"#],
            json,
            "",
            r#"{"a":[1,2.50]}"#,
        ),
        (
            &[r#"{"a":1}"#, "--head", r#"{"h": "x"}"#],
            json,
            r#"{"h":"x"}"#,
            r#"{"a":1}"#,
        ),
        (
            &["text without quotes"],
            json,
            "",
            r#""text without quotes""#,
        ),
        (&["null"], json, "", "null"),
        (&["-3", &at_file], json, "", r#"{"from":"a file"}"#),
        (
            &["--raw", "-3", &at_file],
            "as=raw cn=tcurl",
            "",
            "{\"from\": \"a file\"}\n",
        ),
        (
            &["--raw", "@text", "-2", "head"],
            "as=raw cn=tcurl",
            "head",
            "@text",
        ),
        (
            &["-j", "--cn", "me", "--sk", "key", "--rd", "router"],
            "as=json cn=me sk=key rd=router",
            "",
            "{}",
        ),
    ];
    for (words, headers, arg2, arg3) in cases {
        let ended = call(&server, &[&["show"], words].concat());
        assert_eq!(ended.code, 0, "{words:?} {}", ended.stderr);
        let seen = server.seen();
        assert_eq!(seen, [headers, arg2, arg3], "{words:?}");
    }
    let words = ["-p", &server.address, "kv", "show", "-3", "-"];
    assert_eq!(heeler_reading(&words, "[ 1 ]\n").code, 0);
    assert_eq!(server.seen()[2], "[1]");
}

#[test]
fn http() {
    let server = Served::start();
    let web = |words: &[&str]| heeler(&[&["-p", &server.address, "web"], words].concat());
    let ended = web(&[
        "/hello?a=b",
        "--http",
        "POST",
        "body",
        "-2",
        r#"{"x-a":"1","x-b":"2"}"#,
    ]);
    assert_eq!(ended.stdout, "POST /hello?a=b x-a=1 x-b=2 body");
    assert_eq!((ended.code, ended.stderr.as_str()), (0, "HTTP 200 OK\n"));
    let ended = web(&["/missing", "--http=GET"]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (126, "HTTP 404 Not Found\n")
    );
}

#[test]
fn called_by_tcurls_name() {
    let server = Served::start();
    let dir = tempfile::tempdir().unwrap();
    let tcurl = dir.path().join("tcurl");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_heeler"), &tcurl).unwrap();
    let words = ["-p", &server.address, "kv", "get", "[", "--key", "a", "]"];
    let ended = program::run(tcurl.to_str().unwrap(), &words, "");
    let line = r#"{"ok":true,"head":null,"body":{"value":"a"},"headers":{"as":"json"}}"#;
    assert_eq!(ended.stdout, format!("{line}\n"), "{}", ended.stderr);
    // SHON is read, too, where flags for the log stand before.
    let words = [&["--log", "warn", "call"], &words[..]].concat();
    let ended = program::run(env!("CARGO_BIN_EXE_heeler"), &words, "");
    assert_eq!(ended.stdout, format!("{line}\n"), "{}", ended.stderr);
}
