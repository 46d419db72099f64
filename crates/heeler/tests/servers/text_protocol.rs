//! Conversations in memcached's text protocol.

use super::client::Client;

/// All that is answered to these bytes and a `quit` after them, on a connection of their own.
pub fn answers(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut client = Client::connect(("127.0.0.1", port));
    client.send(bytes);
    client.send(b"quit\r\n");
    client.read_to_close()
}

/// [`answers`] as text.
pub fn told(port: u16, bytes: impl AsRef<[u8]>) -> String {
    shown(&answers(port, bytes.as_ref()))
}

/// Bytes as a text of one line; long ones are cut.
pub fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    match text.char_indices().nth(3000) {
        Some((cut, _)) => format!("{}… {} bytes", &text[..cut], bytes.len()),
        None => text,
    }
}

/// Requests of all kinds in one write, a third without reply: the replies are those of a
/// memcached, in the same order.
pub fn pipelines_are_answered_alike(ours: u16, memcached: u16) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut random = move |below: usize| random.usize(..below);
    for _ in 0..5 {
        let mut script = String::new();
        for i in 0..2000 {
            let (key, other) = (random(50), random(50));
            let quiet = if random(3) == 0 { " noreply" } else { "" };
            let value = format!("{i}\r\n").repeat(random(4));
            script += &match random(10) {
                0..3 => format!("set k{key} 0 0 {}{quiet}\r\n{value}\r\n", value.len()),
                3 => format!("add n{key} 0 0 1{quiet}\r\n1\r\n"),
                4 => format!("incr n{key} {i}{quiet}\r\n"),
                5 => format!("delete k{key}{quiet}\r\n"),
                6 => format!("get k{key} n{other} k{}\r\n", random(50)),
                7 => format!("mg k{key} v k q\r\n"),
                8 => format!("ms k{key} 1 q\r\n{}\r\n", i % 10),
                _ => format!("get k{key}\r\n"),
            };
        }
        let ours = answers(ours, script.as_bytes());
        let theirs = answers(memcached, script.as_bytes());
        assert!(ours == theirs, "{}", shown(&ours));
    }
}

/// A refused line's data is never read as commands; memcached 1.6.18 reads it so, which lets
/// whoever chooses keys and values send commands of his own. `more` are lines that are refused
/// here beside those that are refused everywhere; each announces eleven bytes.
pub fn data_of_a_refused_request_is_no_command(port: u16, more: &[&str]) {
    let key = "k".repeat(251);
    let lines = [
        &format!("set {key} 0 0 11"),
        "set a x 0 11",
        "set a -1 0 11",
        "set a 18446744073709551616 0 11",
        "set a 0 1.5 +11",
        "set a\0b 0 0 11",
        "cas a 0 0 11",
        "cas a 0 0 11 x",
        &format!("ms {key} 11"),
    ];
    for line in lines.iter().chain(more) {
        let answer = told(port, format!("{line}\r\nflush_all\r\n\r\nmn\r\n"));
        assert!(answer.ends_with(r"\r\nMN\r\n"), "{line}: {answer}");
        assert_eq!(answer.matches(r"\r\n").count(), 2, "{line}: {answer}");
        assert!(answer.contains("ERROR"), "{line}: {answer}");
    }
}
