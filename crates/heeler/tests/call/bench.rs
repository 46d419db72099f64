//! Many calls.

use super::program::{Ended, heeler};
use super::served::{Served, nobody};

fn bench(server: &Served, words: &[&str]) -> Ended {
    heeler(&[&["-p", &server.address, "kv"], words].concat())
}

/// The first word after a line's name.
fn number(ended: &Ended, name: &str) -> usize {
    let line = ended.stdout.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{}{}", ended.stdout, ended.stderr));
    let word = line[name.len()..].split_whitespace().next().unwrap();
    word.parse().unwrap()
}

#[test]
fn as_many_calls_as_asked_for() {
    let server = Served::start();
    let words = [
        "count",
        "--bench",
        "--requests",
        "300",
        "--in-flight",
        "7",
        "--connections",
        "3",
    ];
    let ended = bench(&server, &words);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!((number(&ended, "calls"), number(&ended, "ok")), (300, 300));
    assert_eq!(server.counted(), 300);
    assert!(
        ended.stdout.contains("in flight  7 over 3 connections\n"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("\nlatency    min "),
        "{}",
        ended.stdout
    );
}

#[test]
fn until_the_time_is_over() {
    let server = Served::start();
    let ended = bench(&server, &["count", "--bench", "--time", "100"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(number(&ended, "ok"), server.counted());
    assert!(server.counted() > 1);
}

#[test]
fn batches_as_tcurl_sends_them() {
    let server = Served::start();
    let ended = bench(
        &server,
        &["count", "--rate", "10", "--requests", "25", "--delay", "1"],
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!((number(&ended, "ok"), server.counted()), (25, 25));
}

#[test]
fn errors_by_their_kind() {
    let server = Served::start();
    let ended = bench(&server, &["fail", "Busy", "--bench", "--requests", "20"]);
    assert_eq!((ended.code, number(&ended, "ok")), (3, 0));
    let said = "failed     20 busy, such as: said \"Busy\"\n";
    assert!(ended.stdout.ends_with(said), "{}", ended.stdout);
    let ended = bench(&server, &["error", "--bench", "--requests", "20"]);
    assert_eq!(ended.code, 126);
    let said = "failed     20 error of the application, such as: {\"type\":\"kv.full\"";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
}

#[test]
fn a_peer_that_is_not_there() {
    let ended = heeler(&["-p", &nobody(), "kv", "get", "--bench", "--time", "60000"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (125, ""));
    let said = "heeler: cannot connect to ";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
    // Nor one of several: a minute is not waited for.
    let server = Served::start();
    let both = ["-p", &server.address, "-p", &nobody(), "kv", "count"];
    let ended = heeler(&[&both[..], &["--bench", "--time", "60000"]].concat());
    assert_eq!((ended.code, ended.stdout.as_str()), (125, ""));
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
}

#[test]
fn flags_that_do_not_go_together() {
    for words in [
        &["--in-flight", "5"][..],
        &["--bench", "--in-flight", "0"],
        &["--rate", "5", "--in-flight", "5"],
        &["--delay", "5"],
        &["--bench", "--requests", "0"],
    ] {
        let ended = heeler(&[&["-p", "127.0.0.1:1", "kv", "get"], words].concat());
        assert_eq!(ended.code, 125, "{words:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}
