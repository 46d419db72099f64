//! Messages in a ring of which a node is down: real processes.

mod servers;

use servers::{Client, Cluster, Value, wait_until};

/// The messages that a listener is told of, up to one that says `end`.
fn heard(listener: &mut Client) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let Value::Array(words) = listener.read_reply() else {
            panic!("a message is told in an array");
        };
        match words[2].text() {
            end if end == "end" => return heard,
            message => heard.push(message),
        }
    }
}

#[test]
fn a_message_reaches_those_who_live_once_and_is_no_error() {
    let mut cluster = Cluster::start(3, &["--suspect-period", "60000"]);
    let mut listener = cluster.client(1);
    listener.run("SUBSCRIBE news");
    listener.run("SSUBSCRIBE shard");
    let mut clients = [cluster.client(0), cluster.client(1)];
    wait_until("all are connected", || {
        clients
            .iter_mut()
            .all(|c| c.run("PUBLISH news early") == Value::Int(1))
    });
    clients[0].run("PUBLISH news end");
    assert!(
        heard(&mut listener)
            .iter()
            .all(|message| message == "early")
    );

    drop(cluster.nodes[2].take());
    for client in &mut clients {
        for message in ["one", "two", "three"] {
            assert_eq!(
                client.run(&format!("PUBLISH news {message}")),
                Value::Int(1)
            );
            assert_eq!(
                client.run(&format!("SPUBLISH shard {message}")),
                Value::Int(1)
            );
        }
        client.run("MULTI");
        client.run("PUBLISH news four");
        client.run("PUBLISH nobody hears");
        let replies = Value::Array(vec![Value::Int(1), Value::Int(0)]);
        assert_eq!(client.run("EXEC"), replies);
        assert_eq!(client.run("PUBLISH news end"), Value::Int(1));
        let expected = ["one", "one", "two", "two", "three", "three", "four"];
        assert_eq!(heard(&mut listener), expected);
    }
    // The ring still has three members, of which nobody has heard.
    let info = clients[0].run("INFO ring").text();
    assert!(info.contains("ring_members:3\r"), "{info}");
    let stats = clients[0].run("INFO errorstats").text();
    assert!(!stats.contains("CLUSTERDOWN"), "{stats}");
}
