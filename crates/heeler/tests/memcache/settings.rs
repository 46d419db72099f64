//! Settings of a pool, and its statistics, as pools of Redis servers have them.

use std::io::Read;
use std::net::TcpStream;

use crate::{addresses, answers, memcacheds, proxy, told};

#[test]
fn preconnect_connects_before_the_first_request() {
    let servers = memcacheds(2);
    let _proxy = proxy(&["preconnect: true"], &addresses(&servers));
    for server in &servers {
        crate::wait_until("the proxy is connected", || {
            let stats = String::from_utf8(answers(server.port, b"stats\r\n")).unwrap();
            // The proxy's and this one.
            stats.contains("STAT curr_connections 2\r\n")
        });
    }
}

#[test]
fn requests_go_over_as_many_connections_as_are_set() {
    let servers = memcacheds(1);
    let proxy = proxy(&["server_connections: 3"], &addresses(&servers));
    let mut clients: Vec<_> = (0..6).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(b"get a\r\n");
        assert_eq!(client.read_exactly(5), b"END\r\n");
    }
    let stats = String::from_utf8(answers(servers[0].port, b"stats\r\n")).unwrap();
    assert!(stats.contains("STAT curr_connections 4\r\n"), "{stats}");
}

#[test]
fn what_passes_is_counted() {
    let servers = memcacheds(2);
    let proxy = proxy(&["hash: md5", "hash_tag: \"{}\""], &addresses(&servers));
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
    let get = format!("get {}\r\n", keys.join(" "));
    let script = format!("{get}set {{a}} 0 0 1 noreply\r\nx\r\nget {{a}}1\r\nnot known\r\n");
    told(proxy.port, &script);

    let mut text = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.stats_port.unwrap())).unwrap();
    stream.read_to_string(&mut text).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pool = &stats[format!("pool{}", proxy.port)];
    assert_eq!(pool["fragments"], 2, "{text}");
    assert_eq!(pool["forward_error"], 1, "{text}");
    let sum = |name: &str| {
        let of = |server: &str| pool[server][name].as_u64().unwrap();
        of("s0") + of("s1")
    };
    assert_eq!((sum("requests"), sum("responses")), (4, 4), "{text}");
    let stored_and_ends = 8 + 3 * 5;
    assert_eq!(sum("response_bytes"), stored_and_ends, "{text}");
    assert_eq!((sum("in_queue"), sum("out_queue")), (0, 0), "{text}");
}
