//! What the program says to a command line, beside the real nutcracker.

use crate::servers::{ConfigFile, Heeler};
use crate::{Link, pool, real};

#[test]
fn a_wrong_command_line_is_told_in_nutcrackers_words() {
    let link = Link::new();
    for line in [
        "-z",
        "-?",
        "-v abc",
        "-v -1",
        "-v 3x",
        "-v",
        "--verbose",
        "-s 0",
        "-s 70000",
        "-s x",
        "-s",
        "--stats-port",
        "-m 1",
        "-m 16777217",
        "-m x",
        "-m 0",
        "-m",
        "-i x",
        "-i",
        "-a",
        "-c",
        "--conf-file",
        "-o",
        "-p",
        "--help=3",
        "-tz",
        "-V -z",
        "-s 0 -z",
        "word -z",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let (ours, theirs) = (link.run(&args), real(&args).wait());
        let said = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(said(&ours.stderr), said(&theirs.stderr), "{line}");
        assert_eq!(ours.code, Some(1), "{line}");
        assert_eq!(theirs.code, Some(1), "{line}");
        assert!(ours.stderr.contains("\nUsage: nutcracker ["), "{line}");
        assert_eq!(ours.stdout, "", "{line}");
    }
    let unknown = link.run(&["--no-such"]);
    assert!(
        unknown
            .stderr
            .starts_with("nutcracker: invalid option -- 'no-such'\n")
    );
    assert_eq!(unknown.code, Some(1));
}

#[test]
fn texts_are_nutcrackers_and_go_to_standard_error() {
    let link = Link::new();
    for args in [&["-V"][..], &["--version"], &["-h"], &["--help"], &["-D"]] {
        let (ours, theirs) = (link.run(args), real(args).wait());
        assert_eq!((ours.code, theirs.code), (Some(0), Some(0)), "{args:?}");
        assert_eq!(ours.stdout, "", "{args:?}");
        assert!(ours.stderr.contains("Heeler"), "{args:?}");
        // Options have other defaults and explanations, all else is the same.
        let lines = |text: &str| -> Vec<String> {
            let line = |line: &str| line.split(" : ").next().unwrap().trim_end().to_owned();
            let of_theirs = |line: &String| !line.contains("Heeler") && !line.contains("--threads");
            text.lines().map(line).filter(of_theirs).collect()
        };
        assert_eq!(lines(&ours.stderr), lines(&theirs.stderr), "{args:?}");
    }
}

#[test]
fn a_file_is_tested_with_nutcrackers_verdict_and_the_reason() {
    let link = Link::new();
    let good = pool("p", 22121, &["timeout: 400"], &["127.0.0.1:1".into()]);
    let unspaced = good.replace("timeout: 400", "timeout:400");
    let unknown = good.replace("hash: md5", "hash: md6");
    for (text, code, reasons) in [
        (good.as_str(), 0, &[][..]),
        (&unspaced, 1, &["bad.yml:5:3", "timeout: 400"]),
        (&unknown, 1, &["bad.yml:4:9", "md6", "fnv1a_64"]),
        ("", 1, &["bad.yml"]),
    ] {
        let file = link.write("bad.yml", text);
        for args in [
            &["-t", "-c", &file][..],
            &["--test-conf", &format!("--conf-file={file}")],
        ] {
            let (ours, theirs) = (link.run(args), real(args).wait());
            assert_eq!((ours.code, theirs.code), (Some(code), Some(code)), "{text}");
            let verdict = theirs.stderr.lines().last().unwrap();
            assert_eq!(ours.stderr.lines().last().unwrap(), verdict);
            for reason in reasons {
                assert!(ours.stderr.contains(reason), "{reason}: {}", ours.stderr);
            }
        }
    }
    let missing = link.run(&["-tc", "/no/such.yml"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.contains("/no/such.yml: cannot read"),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_test_of_the_file_opens_no_log_and_no_port() {
    let link = Link::new();
    let servers = ["127.0.0.1:1".into()];
    let file = link.write("n.yml", &pool("p", 1, &["timeout: 4"], &servers));
    let [log, pid] = ["n.log", "n.pid"].map(|name| link.file(name));
    let tested = link.run(&["-t", "-d", "-c", &file, "-o", &log, "-p", &pid]);
    assert_eq!(tested.code, Some(0), "{}", tested.stderr);
    assert!(!link.path("n.log").exists() && !link.path("n.pid").exists());
}

#[test]
fn heeler_proxy_has_the_same_flags() {
    let file = ConfigFile::new(&pool("p", 22121, &["timeout: 4"], &["127.0.0.1:1".into()]));
    let run = |args: &[&str]| Heeler::spawn(&[&["proxy", "-c", file.path()], args].concat()).wait();
    for args in [
        &[
            "-t", "-v", "11", "-s", "1", "-a", "::1", "-i", "1", "-m", "512",
        ][..],
        &[
            "--test-conf",
            "--verbose=5",
            "--output=/no/such",
            "--stats-port=22222",
            "--stats-addr=0.0.0.0",
            "--stats-interval=30000",
            "--pid-file=/no/such",
            "--mbuf-size=16384",
        ],
    ] {
        let stopped = run(args);
        assert_eq!(stopped.code, Some(0), "{args:?}: {}", stopped.stderr);
    }
    for (args, told) in [
        (["-s", "0"], "option -s value 0 is not a valid port"),
        (["-v", "x"], "option -v requires a number"),
        (
            ["-m", "511"],
            "mbuf chunk size must be between 512 and 16777216 bytes",
        ),
    ] {
        let stopped = run(&args);
        assert_eq!(stopped.code, Some(2));
        assert!(stopped.stderr.contains(told), "{}", stopped.stderr);
    }
    let described = run(&["-D"]);
    assert_eq!(described.code, Some(0));
    assert!(described.stdout.contains("out_queue_bytes"));
    let version = Heeler::spawn(&["proxy", "-V"]).wait();
    assert!(version.stdout.starts_with("heeler"), "{}", version.stdout);
    let help = Heeler::spawn(&["proxy", "-h"]).wait().stdout;
    for flag in [
        "-t", "-d", "-D", "-v", "-o", "-c", "-s", "-a", "-i", "-p", "-m", "-h", "-V",
    ] {
        assert!(help.contains(&format!("  {flag}, --")), "{flag}: {help}");
    }
}
