//! LATENCY beside a real redis-server: what takes long becomes a sample, commands get histograms.

mod servers;

use servers::{Client, Heeler, RedisServer, Value};

/// A redis-server and a store on which DEBUG is allowed.
fn both() -> [(Client, Box<dyn std::any::Any>); 2] {
    let redis = RedisServer::start_with(&["--enable-debug-command", "yes"]);
    let heeler = Heeler::serve(&["--threads", "1", "--enable-debug-command", "yes"]);
    [
        (redis.client(), Box::new(redis)),
        (heeler.client(), Box::new(heeler)),
    ]
}

fn numbers(value: &Value) -> Vec<i64> {
    match value {
        Value::Int(number) => vec![*number],
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_takes_long_is_a_sample() {
    for (mut client, _server) in both() {
        assert_eq!(client.run("DEBUG SLEEP 0.02"), Value::ok());
        assert_eq!(client.run("LATENCY LATEST"), Value::Array(Vec::new()));
        client.run("CONFIG SET latency-monitor-threshold 15");
        client.run("GET a");
        assert_eq!(client.run("LATENCY LATEST"), Value::Array(Vec::new()));
        let before = seconds();
        client.run("DEBUG SLEEP 0.05");
        client.run("DEBUG SLEEP 0.02");
        let latest = client.run("LATENCY LATEST");
        let Value::Array(events) = &latest else {
            panic!("{latest:?}");
        };
        let Value::Array(event) = &events[0] else {
            panic!("{latest:?}");
        };
        assert_eq!((events.len(), event[0].text()), (1, "command".into()));
        let [at, last, most] = numbers(&events[0])[..] else {
            panic!("{latest:?}");
        };
        assert!((before..=seconds()).contains(&at) && (15..5_000).contains(&last));
        assert!((50..5_000).contains(&most));
        let history = numbers(&client.run("LATENCY HISTORY command"));
        assert!(history.len() == 2 || history.len() == 4, "{history:?}");
        assert!(history.chunks(2).any(|sample| sample[1] == most));
        let graph = client.run("LATENCY GRAPH command").text();
        assert!(graph.starts_with("command - high "), "{graph}");
        assert!(graph.contains(&format!("(all time high {most} ms)\n----")));
        assert!(client.run("LATENCY DOCTOR").text().contains("1. command: "));
        assert_eq!(client.run("LATENCY RESET fast-command"), Value::Int(0));
        assert_eq!(client.run("LATENCY RESET command"), Value::Int(1));
        assert_eq!(client.run("LATENCY LATEST"), Value::Array(Vec::new()));
    }
}

fn seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs() as i64
}

/// What a histogram says: the command's name, how often it was called, and the counts of steps.
fn histogram(client: &mut Client, of: &str) -> Vec<(String, i64, Vec<i64>)> {
    let Value::Array(all) = client.run(&format!("LATENCY HISTOGRAM {of}")) else {
        panic!("no histograms");
    };
    let told = |pair: &[Value]| {
        let numbers = numbers(&pair[1]);
        (pair[0].text(), numbers[0], numbers[1..].to_vec())
    };
    all.chunks(2).map(told).collect()
}

#[test]
fn each_command_that_comes_alone_is_in_a_histogram() {
    for (mut client, _server) in both() {
        for _ in 0..20 {
            client.run("SET a 1");
            client.run("LPUSH b x");
        }
        client.run("LPUSH a x");
        client.run("OBJECT ENCODING a");
        client.run("OBJECT FREQ a");
        for (of, names, calls) in [
            ("set", &["set"][..], 20),
            ("nosuch Lpush nosuch", &["lpush"], 21),
            ("object|encoding", &["object|encoding"], 1),
            ("object", &["object|encoding", "object|freq"], 1),
        ] {
            let mut told = histogram(&mut client, of);
            told.sort();
            let found: Vec<&str> = told.iter().map(|(name, ..)| &name[..]).collect();
            assert_eq!(found, names);
            for (_, count, steps) in told {
                assert_eq!(count, calls);
                // Bounds grow by powers of two, counts add up.
                assert!(
                    steps
                        .chunks(2)
                        .is_sorted_by(|a, b| a[0] < b[0] && a[1] < b[1])
                );
                assert_eq!(steps.last(), Some(&calls));
                let bound =
                    |us: i64| (0..21).any(|k| (us as f64 / 1.024 / 2f64.powi(k)).ln().abs() < 0.4);
                assert!(steps.chunks(2).all(|step| bound(step[0])), "{steps:?}");
            }
        }
        assert!(histogram(&mut client, "").len() >= 4);
        let info = client.run("INFO latencystats").text();
        let line = info
            .lines()
            .find(|line| line.starts_with("latency_percentiles_usec_lpush:"));
        let (_, told) = line.expect("a line").split_once(':').unwrap();
        let numbers: Vec<f64> = ["p50=", "p99=", "p99.9="]
            .iter()
            .zip(told.split(','))
            .map(|(name, part)| part.strip_prefix(name).unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted() && numbers.len() == 3 && numbers[0] > 0.0);
        client.run("CONFIG RESETSTAT");
        assert_eq!(histogram(&mut client, "set"), []);
        client.run("CONFIG SET latency-tracking no");
        client.run("SET a 1");
        assert_eq!(histogram(&mut client, "set"), []);
    }
}

/// Of quick commands that come many at a time, some are timed.
#[test]
fn commands_that_come_together_are_in_a_histogram() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut client = heeler.client();
    const COMMANDS: usize = 20_000;
    let many = servers::request(&[b"GET", b"a"]).repeat(100);
    for _ in 0..COMMANDS / 100 {
        client.send(&many);
        (0..100).for_each(|_| assert_eq!(client.read_reply(), Value::Null));
    }
    let told = histogram(&mut client, "get");
    assert!((5..1_000).contains(&told[0].1), "{told:?}");
}
