//! MONITOR over real connections. What its lines say is in `tests/bytes/monitor.txt`.

mod servers;

use servers::{Client, Heeler, Value, wait_until};

fn line_of(client: &mut Client) -> String {
    client.read_reply().text()
}

/// One that does not read is closed once too much waits for it, and the others hear on.
#[test]
fn who_does_not_read_is_closed() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let client = || heeler.client();
    let (mut deaf, mut good, mut other) = (client(), client(), client());
    deaf.run("MONITOR");
    good.run("MONITOR");
    let deaf_one = |other: &mut Client| other.run("CLIENT LIST").text().contains("flags=O");
    assert!(deaf_one(&mut other));
    let value = vec![b'x'; 1024 * 1024];
    for _ in 0..64 {
        other.call(&[b"SET", b"a", &value]);
        assert!(line_of(&mut good).ends_with("xxx\""));
    }
    wait_until("one of the two is closed", || {
        other.run("CLIENT LIST").text().matches("flags=O").count() == 1
    });
    drop(good);
    wait_until("nobody monitors", || !deaf_one(&mut other));
    assert_eq!(other.run("PING"), Value::Status("PONG".into()));
}

/// Each thread's commands come in their order, each once; the time is that of day.
#[test]
fn commands_of_all_workers_are_told_once() {
    const COMMANDS: usize = 1_000;
    let heeler = Heeler::serve(&["--threads", "3"]);
    let mut monitor = heeler.client();
    monitor.run("MONITOR");
    let speakers: Vec<_> = (0..3)
        .map(|speaker| {
            let mut client = heeler.client();
            std::thread::spawn(move || {
                for n in 0..COMMANDS {
                    client.run(&format!("ECHO {speaker}-{n}"));
                }
            })
        })
        .collect();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap().as_secs();
    let mut next = [0; 3];
    for _ in 0..3 * COMMANDS {
        let line = line_of(&mut monitor);
        let (time, rest) = line.split_once(" [0 127.0.0.1:").unwrap();
        let (seconds, micros) = time.split_once('.').unwrap();
        assert!(seconds.parse::<u64>().unwrap().abs_diff(since) < 600 && micros.len() == 6);
        let (_, word) = rest.split_once("] \"ECHO\" \"").unwrap();
        let (speaker, n) = word.trim_end_matches('"').split_once('-').unwrap();
        let speaker: usize = speaker.parse().unwrap();
        assert_eq!(n.parse(), Ok(next[speaker]));
        next[speaker] += 1;
    }
    assert_eq!(next, [COMMANDS; 3]);
    speakers.into_iter().for_each(|s| s.join().unwrap());
}

/// A password is shown by no door and in no form of the command that has it.
#[test]
fn no_password_is_shown() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let (mut monitor, mut other) = (heeler.client(), heeler.client());
    monitor.run("MONITOR");
    other.run("CONFIG SET requirepass hunter2");
    other.run("AUTH hunter2");
    other.run("AUTH default hunter2");
    other.run("HELLO 3 AUTH default hunter2 SETNAME x");
    other.run("MULTI");
    other.run("AUTH hunter2");
    other.run("EXEC");
    other.run("ECHO end");
    let lines: Vec<String> = std::iter::from_fn(|| Some(line_of(&mut monitor)))
        .take_while(|line| !line.contains("ECHO"))
        .collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("hunter2")),
        "{lines:?}"
    );
}

/// Who comes by another door is told of, too.
#[test]
fn items_are_told() {
    let memcached = servers::free_port();
    let at = format!("127.0.0.1:{memcached}");
    let heeler = Heeler::serve(&["--threads", "1", "--memcached", &at]);
    let mut monitor = heeler.client();
    monitor.run("MONITOR");
    let mut other = Client::connect(&at[..]);
    other.send(b"set k 0 0 1\r\nv\r\nget k\r\n");
    assert!(line_of(&mut monitor).ends_with("\"set\" \"k\" \"0\" \"0\" \"1\" \"v\""));
    assert!(line_of(&mut monitor).ends_with("\"get\" \"k\""));
}
