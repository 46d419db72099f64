//! Channels over real connections: many who listen and speak, on several threads.

mod servers;

use servers::{Client, Heeler, RedisServer, Value, request, wait_until};

/// Messages of one who speaks come in order to all who listen, each once.
#[test]
fn messages_come_in_order_and_once() {
    const MESSAGES: usize = 2_000;
    let heeler = Heeler::serve(&["--threads", "3"]);
    let mut listeners: Vec<Client> = (0..6).map(|_| client(&heeler)).collect();
    for (i, listener) in listeners.iter_mut().enumerate() {
        let subscribe = if i % 2 == 0 {
            "SUBSCRIBE c"
        } else {
            "PSUBSCRIBE c*"
        };
        listener.run(subscribe);
    }
    let speakers: Vec<_> = (0..2)
        .map(|speaker| {
            let mut client = client(&heeler);
            std::thread::spawn(move || {
                for n in 0..MESSAGES {
                    let reply = client.run(&format!("PUBLISH c {speaker}-{n}"));
                    assert_eq!(reply, Value::Int(6));
                }
            })
        })
        .collect();
    for listener in &mut listeners {
        let mut next = [0; 2];
        for _ in 0..2 * MESSAGES {
            let Value::Array(message) = listener.read_reply() else {
                panic!("a message is an array");
            };
            let text = message.last().unwrap().text();
            let (speaker, n) = text.split_once('-').unwrap();
            let speaker: usize = speaker.parse().unwrap();
            assert_eq!(n.parse(), Ok(next[speaker]));
            next[speaker] += 1;
        }
        assert_eq!(next, [MESSAGES; 2]);
    }
    speakers.into_iter().for_each(|s| s.join().unwrap());
}

#[test]
fn who_has_gone_is_not_told() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut one, mut two) = (client(&heeler), client(&heeler));
    one.run("SUBSCRIBE a");
    one.run("PSUBSCRIBE a*");
    assert_eq!(two.run("PUBLISH a x"), Value::Int(2));
    drop(one);
    wait_until("nobody listens", || two.run("PUBLISH a x") == Value::Int(0));
    assert_eq!(two.run("PUBSUB NUMPAT"), Value::Int(0));
    assert_eq!(two.run("PUBSUB CHANNELS"), Value::Array(Vec::new()));
}

/// A listener that does not read is closed once too much waits for it, and the others hear on.
#[test]
fn who_does_not_read_is_closed() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut deaf, mut good) = (client(&heeler), client(&heeler));
    let mut speaker = client(&heeler);
    deaf.run("SUBSCRIBE a");
    good.run("SUBSCRIBE a");
    let payload = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while speaker.call(&[b"PUBLISH", b"a", &payload]) == Value::Int(2) {
        sent += 1;
        good.read_raw_reply();
        assert!(sent < 200, "it is never closed");
    }
    assert!(sent >= 32, "closed after {sent} MiB");
    good.read_raw_reply();
    assert_eq!(speaker.run("PUBLISH a end"), Value::Int(1));
    assert!(good.read_raw_reply().ends_with(b"end\r\n"));
    deaf.read_to_close();
    servers::wait_until("the log says why", || {
        let said = heeler.process.stderr();
        said.contains("too slowly: its connection is closed")
    });
}

#[test]
fn listeners_are_shown_and_killed_by_their_type() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut listener, mut other) = (client(&heeler), client(&heeler));
    listener.run("SUBSCRIBE a b");
    listener.read_reply();
    listener.run("PSUBSCRIBE p");
    let list = other.run("CLIENT LIST TYPE pubsub").text();
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(
        list.contains("flags=P") && list.contains("sub=2 psub=1 ssub=0"),
        "{list}"
    );
    assert!(
        !other
            .run("CLIENT LIST TYPE normal")
            .text()
            .contains("flags=P")
    );
    assert_eq!(other.run("CLIENT KILL TYPE pubsub"), Value::Int(1));
    assert!(listener.read_to_close().is_empty());
    let nobody = Value::Array(vec![Value::bulk("a"), Value::Int(0)]);
    wait_until("gone", || other.run("PUBSUB NUMSUB a") == nobody);
}

/// Messages of CLIENT TRACKING may go to another connection, which may speak the older protocol.
#[test]
fn changes_are_told_to_the_connection_that_was_named() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut listener, mut reader) = (client(&heeler), client(&heeler));
    let mut writer = client(&heeler);
    let Value::Int(id) = listener.run("CLIENT ID") else {
        panic!("an id is a number");
    };
    listener.run("SUBSCRIBE __redis__:invalidate");
    reader.run("HELLO 3");
    assert_eq!(
        reader.run(&format!("CLIENT TRACKING ON REDIRECT {id}")),
        Value::ok()
    );
    assert_eq!(reader.run("CLIENT GETREDIR"), Value::Int(id));
    reader.run("GET k");
    writer.run("SET k v");
    let told = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n";
    assert_eq!(listener.read_raw_reply(), told);
    reader.run("GET k");
    drop(listener);
    wait_until("the listener is gone", || {
        writer.run("PUBSUB CHANNELS") == Value::Array(Vec::new())
    });
    writer.run("SET k w");
    let broken = format!(">2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n");
    assert_eq!(reader.read_raw_reply(), broken.as_bytes());
}

/// Whatever two threads do, a copy that was read before the last change is told to be old.
#[test]
fn no_copy_stays_old() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut reader, mut writer) = (client(&heeler), client(&heeler));
    reader.run("HELLO 3");
    reader.run("CLIENT TRACKING ON");
    let writing = std::thread::spawn(move || {
        for i in 0..2_000 {
            writer.run(&format!("SET k {i}"));
        }
    });
    while reader.run("GET k") != Value::bulk("1999") {
        let told = reader.read_raw_reply();
        assert_eq!(told, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
    }
    writing.join().unwrap();
}

fn client(heeler: &Heeler) -> Client {
    Client::connect(("127.0.0.1", heeler.port))
}

/// Messages are no replies: they come although the client wants none of those.
#[test]
fn messages_come_without_replies() {
    let (heeler, redis) = (Heeler::serve(&["--threads", "1"]), RedisServer::start());
    for hello in ["HELLO 2", "HELLO 3"] {
        let told = |mut client: Client, mut speaker: Client| {
            client.run(hello);
            for line in [
                "CLIENT REPLY OFF",
                "SUBSCRIBE a b",
                "PSUBSCRIBE a*",
                "PING",
                "UNSUBSCRIBE b",
                "GET a",
            ] {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                client.send(&request(&words));
            }
            let unsubscribed = Value::Array(vec![Value::bulk("b"), Value::Int(0)]);
            wait_until("it listens to what it asked for", || {
                speaker.run("PUBSUB NUMPAT") == Value::Int(1)
                    && speaker.run("PUBSUB NUMSUB b") == unsubscribed
            });
            assert_eq!(speaker.run("PUBLISH a hello"), Value::Int(2));
            client.send(&request(&[b"UNSUBSCRIBE"]));
            client.send(&request(&[b"PUNSUBSCRIBE", b"none", b"a*"]));
            client.send(&request(&[b"CLIENT", b"REPLY", b"ON"]));
            client.send(&request(&[b"QUIT"]));
            client.read_to_close().escape_ascii().to_string()
        };
        let ours = told(heeler.client(), heeler.client());
        assert_eq!(ours, told(redis.client(), redis.client()), "{hello}");
    }
}
