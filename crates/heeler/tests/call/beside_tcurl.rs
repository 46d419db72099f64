//! The same calls by tcurl: what it prints on standard output is printed. `.ci/peers` installs it.

use std::path::{Path, PathBuf};

use super::program::{Ended, TIMEOUT_MS, heeler, run};
use super::served::{Served, silent};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/call")
}

fn tcurl(args: &[&str]) -> Ended {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tcurl = root.join("target/peers/node_modules/tcurl/index.js");
    assert!(tcurl.exists(), "tcurl is not there: run .ci/peers");
    run("node", &[&[tcurl.to_str().unwrap()], args].concat(), "")
}

/// Runs both, and returns what they have left: tcurl's first.
fn both(server: &Served, words: &[&str]) -> [Ended; 2] {
    let mut args = vec!["-p", &server.address];
    if !words.contains(&"--timeout") {
        // tcurl's own 100 ms are too short on a busy machine.
        args.extend(["--timeout", TIMEOUT_MS]);
    }
    args.extend(words);
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| tcurl(&args));
        let ours = heeler(&args);
        [theirs.join().unwrap(), ours]
    })
}

/// What both print, and the exit code of both.
fn same(server: &Served, words: &[&str], code: i32) {
    same_but_for_code(server, words, code, code);
}

fn same_but_for_code(server: &Served, words: &[&str], of_tcurl: i32, code: i32) {
    let [theirs, ours] = both(server, words);
    let place = format!("{words:?}\n{}\n{}", theirs.stderr, ours.stderr);
    assert_eq!(ours.stdout, theirs.stdout, "{place}");
    assert_eq!((theirs.code, ours.code), (of_tcurl, code), "{place}");
}

#[test]
fn answers_and_errors_of_the_application() {
    let server = Served::start();
    same(&server, &["kv", "get", "-3", r#"{"key":"foo"}"#], 0);
    same(&server, &["kv", "get", "[", "--key", "foo", "]"], 0);
    same(&server, &["kv", "get", r#"{"key":[1,{"a":null}]}"#], 0);
    same(&server, &["kv", "order"], 0);
    same(&server, &["kv", "nothing"], 0);
    same(&server, &["kv", "word", "--raw"], 0);
    same(&server, &["kv", "error"], 126);
    same(&server, &["kv", "error", "--raw"], 126);
    same(&server, &["kv", "named error"], 126);
    same(&server, &["kv", "--health"], 0);
    same(&server, &["sick", "--health"], 124);
    same(&server, &["nobody", "--health"], 125);
}

#[test]
fn error_frames() {
    let server = Served::start();
    let codes = [
        ("Timeout", 1),
        ("Cancelled", 2),
        ("Busy", 3),
        ("Declined", 4),
        ("Unexpected", 5),
        ("BadRequest", 6),
        ("Network", 7),
        ("Unhealthy", 8),
    ];
    for (name, code) in codes {
        same(&server, &["kv", "fail", name, "--raw"], code);
    }
    same(&server, &["kv", "there is none"], 6);
    same(&server, &["nobody", "get"], 6);
}

#[test]
fn a_call_that_takes_too_long() {
    let peer = silent();
    let words = ["-p", &peer, "kv", "get", "--timeout", "300"];
    let (theirs, ours) = (tcurl(&words), heeler(&words));
    let without_digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(without_digits(&ours.stdout), without_digits(&theirs.stdout));
    assert!(
        ours.stdout.contains("\"request timed out after "),
        "{}",
        ours.stdout
    );
    // tcurl's usage says 1, and does not do it.
    assert_eq!((theirs.code, ours.code), (0, 1));
}

#[test]
fn what_the_server_gets() {
    let server = Served::start();
    let cases: [&[&str]; 8] = [
        &[],
        &["-3", r#"{"a": [1, 2]}"#, "-2", r#"{"h": "x"}"#],
        &[
            "[", "--a", "5", "--b", "[", "1", "x", "]", "--c", "-t", "--d=[]", "]",
        ],
        &["[", "]", "--headers", "[", "--x", "y", "]"],
        &["word"],
        &["--raw", "a word"],
        &["--raw", "-3", r#"{"a": 1}"#],
        &["-j", "--cn", "me", "--rd", "router", "--shardKey", "key"],
    ];
    for words in cases {
        let mut args = vec!["-p", &server.address, "--timeout", "5000", "kv", "show"];
        args.extend(words);
        assert_eq!(tcurl(&args).code, 0, "{words:?}");
        let [headers, arg2, arg3] = server.seen();
        assert_eq!(heeler(&args).code, 0, "{words:?}");
        let [our_headers, our_arg2, our_arg3] = server.seen();
        let sorted = |headers: &str| {
            let mut headers: Vec<String> = headers.split(' ').map(String::from).collect();
            headers.sort();
            headers
        };
        assert_eq!(sorted(&our_headers), sorted(&headers), "{words:?}");
        assert_eq!((our_arg2, our_arg3), (arg2, arg3), "{words:?}");
    }
}

#[test]
fn thrift() {
    let server = Served::start();
    let file = folder().join("kv.thrift");
    let (file, folder) = (file.to_str().unwrap(), folder());
    let folder = folder.to_str().unwrap();
    let get = ["kv", "KV::get", "-t"];
    let got = |words: &[&str], code| same(&server, &[&get, words].concat(), code);
    got(&[file, "-3", r#"{"key":"foo"}"#], 0);
    got(&[folder, "-3", r#"{"key":"é"}"#, "-2", r#"{"a":"b"}"#], 0);
    got(&[file, "[", "--key", "foo", "]"], 0);
    got(&[file, "-3", r#"{"key":"nobody"}"#], 126);
    let put = ["kv", "KV::put", "-t", file, "-3"];
    let all = r#"{"key":"k","value":{"text":"t","n":1,"color":"RED","counts":{"a":1},
        "shorts":[1],"words":["x"],"yes":false,"half":0.5,"choice":{"a":"x"}}}"#;
    same(&server, &[&put[..], &[all]].concat(), 0);
    // What does not fit is told: tcurl prints nothing on standard output, and exits with 0.
    let misfits = [
        r#"{"key":"k"}"#,
        r#"{"key":"k","value":{"text":"t","color":"PINK"}}"#,
        r#"{"key":"k","value":{"text":5}}"#,
        r#"{"key":"k","value":{"text":"t","n":3000000000}}"#,
    ];
    for misfit in misfits {
        same_but_for_code(&server, &[&put[..], &[misfit]].concat(), 0, 125);
    }
}

#[test]
fn strictness() {
    let server = Served::start();
    let dir = tempfile::tempdir().unwrap();
    let lax = dir.path().join("lax.thrift");
    std::fs::write(
        &lax,
        "struct S { 1: string a } service KV { void put(1: S s) }",
    )
    .unwrap();
    let words = [
        "kv",
        "KV::put",
        "-t",
        lax.to_str().unwrap(),
        "-3",
        r#"{"s":{"a":"x"}}"#,
    ];
    let [theirs, ours] = both(&server, &words);
    let said = "a of S is neither required nor optional and has no default";
    assert!(ours.stderr.contains(said), "{}", ours.stderr);
    assert!(
        theirs.stderr.contains("in strict mode"),
        "{}",
        theirs.stderr
    );
    assert_eq!((theirs.code, ours.code), (0, 125));
    same(&server, &[&words[..], &["--no-strict"]].concat(), 0);
}
