//! Servers that are down, silent, or come back.

use rustix::process::Signal;

use crate::servers::{RedisServer, Value, free_port};
use crate::{addresses, error, keys_by_server, proxy, redis_servers, wait_until};

fn refused() -> Value {
    error("Connection refused")
}

#[test]
fn a_server_that_is_down_is_refused_and_the_client_stays() {
    let mut servers = redis_servers(2);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut client = proxy.client();
    servers.remove(0).process.stop();
    wait_until("the connection to the server is gone", || {
        client.run(&format!("GET {}", keys[0][0])) == refused()
    });
    for _ in 0..3 {
        assert_eq!(client.run(&format!("SET {} v", keys[0][0])), refused());
        assert_eq!(client.run(&format!("SET {} v", keys[1][0])), Value::ok());
    }
    // In one pipeline, each gets its own.
    client.send(
        format!(
            "GET {0}\r\nGET {1}\r\nPING\r\nGET {0}\r\n",
            keys[0][0], keys[1][0]
        )
        .as_bytes(),
    );
    let replies: Vec<Value> = (0..4).map(|_| client.read_reply()).collect();
    let pong = Value::Status("PONG".into());
    assert_eq!(replies, [refused(), Value::bulk("v"), pong, refused()]);
}

#[test]
fn one_server_down_is_one_error_for_a_command_over_many() {
    let mut servers = redis_servers(3);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut client = proxy.client();
    servers.remove(1).process.stop();
    wait_until("the connection to the server is gone", || {
        client.run(&format!("GET {}", keys[1][0])) == refused()
    });
    let all = format!("{} {} {}", keys[0][0], keys[1][0], keys[2][0]);
    for command in ["MGET", "DEL", "EXISTS", "TOUCH", "UNLINK"] {
        assert_eq!(
            client.run(&format!("{command} {all}")),
            refused(),
            "{command}"
        );
    }
    let pairs = format!("{} 0 {} 1 {} 2", keys[0][0], keys[1][0], keys[2][0]);
    assert_eq!(client.run(&format!("MSET {pairs}")), refused());
    let two = vec![Value::bulk("2"), Value::bulk("0")];
    let alive = format!("MGET {} {}", keys[2][0], keys[0][0]);
    assert_eq!(client.run(&alive), Value::Array(two));
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let mut servers = redis_servers(1);
    let proxy = proxy(&[], &addresses(&servers));
    let mut client = proxy.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    let port = servers[0].port;
    servers.remove(0).process.stop();
    wait_until("the connection to the server is gone", || {
        client.run("GET k") == refused()
    });
    let _back = RedisServer::start_at(port, &[]);
    wait_until("the server is used", || {
        client.run("SET k w") == Value::ok()
    });
    assert_eq!(client.run("GET k"), Value::bulk("w"));
}

#[test]
fn a_server_that_dies_fails_what_waits_for_it() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut clients = [(); 5].map(|()| proxy.client());
    servers[0].process.signal(Signal::STOP);
    for client in &mut clients {
        // The answer to PING shows that the requests beside it are on their way.
        client.send(format!("PING\r\nGET {0}\r\nGET {0}\r\n", keys[0][0]).as_bytes());
        assert_eq!(client.read_reply(), Value::Status("PONG".into()));
    }
    servers[0].process.signal(Signal::KILL);
    for client in &mut clients {
        for _ in 0..2 {
            let reply = client.read_reply();
            let fates = ["unknown", "Connection reset by peer", "Broken pipe"].map(error);
            assert!(fates.contains(&reply) || reply == refused(), "{reply:?}");
        }
        // While the kernel still takes the dead process apart, it may take a connection.
        wait_until("nobody listens any more", || {
            client.run(&format!("GET {}", keys[0][1])) == refused()
        });
        assert_eq!(client.run(&format!("GET {}", keys[1][0])), Value::Null);
    }
}

#[test]
fn a_request_that_times_out_does_so_alone() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5", "timeout: 2000"], &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut clients = [(); 3].map(|()| proxy.client());
    for (i, key) in keys[0].iter().take(4).enumerate() {
        assert_eq!(clients[0].run(&format!("SET {key} value{i}")), Value::ok());
    }
    servers[0].process.signal(Signal::STOP);
    clients[0].send(format!("PING\r\nGET {}\r\nPING\r\n", keys[0][0]).as_bytes());
    assert_eq!(clients[0].read_reply(), Value::Status("PONG".into()));
    // The other server is not touched by it.
    assert_eq!(
        clients[1].run(&format!("SET {} v", keys[1][0])),
        Value::ok()
    );
    assert_eq!(clients[0].read_reply(), error("Connection timed out"));
    assert_eq!(clients[0].read_reply(), Value::Status("PONG".into()));
    // Sent while the server is still silent; then it answers all, the late one first.
    clients[1].send(format!("PING\r\nGET {}\r\n", keys[0][1]).as_bytes());
    assert_eq!(clients[1].read_reply(), Value::Status("PONG".into()));
    clients[0].send(format!("PING\r\nGET {}\r\n", keys[0][2]).as_bytes());
    assert_eq!(clients[0].read_reply(), Value::Status("PONG".into()));
    servers[0].process.signal(Signal::CONT);
    assert_eq!(clients[1].read_reply(), Value::bulk("value1"));
    assert_eq!(clients[0].read_reply(), Value::bulk("value2"));
    for client in &mut clients {
        for (i, key) in keys[0].iter().take(4).enumerate() {
            assert_eq!(
                client.run(&format!("GET {key}")),
                Value::bulk(format!("value{i}"))
            );
        }
    }
}

#[test]
fn a_silent_server_fails_a_command_over_many_in_time() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5", "timeout: 1000"], &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut client = proxy.client();
    servers[1].process.signal(Signal::STOP);
    let all = format!("{} {}", keys[0][0], keys[1][0]);
    assert_eq!(
        client.run(&format!("MGET {all}")),
        error("Connection timed out")
    );
    servers[1].process.signal(Signal::CONT);
    let nothing = vec![Value::Null, Value::Null];
    wait_until("the server answers again", || {
        client.run(&format!("MGET {all}")) == Value::Array(nothing.clone())
    });
}

#[test]
fn a_server_without_an_address_is_down() {
    let servers = redis_servers(1);
    let nowhere = "no-such-host.invalid:6379".to_string();
    let all = [nowhere, servers[0].address()];
    let proxy = proxy(&["hash: md5"], &all);
    let mut client = proxy.client();
    let replies: Vec<Value> = (0..40)
        .map(|i| client.run(&format!("SET key:{i} v")))
        .collect();
    assert!(replies.contains(&error("Host is down")), "{replies:?}");
    assert!(replies.contains(&Value::ok()));
    assert!(
        replies
            .iter()
            .all(|r| *r == Value::ok() || *r == error("Host is down"))
    );
}

#[test]
fn keys_of_a_dead_server_move_and_come_back() {
    let mut servers = redis_servers(2);
    let settings = [
        "hash: md5",
        "auto_eject_hosts: true",
        "server_failure_limit: 2",
        "server_retry_timeout: 300",
    ];
    let proxy = proxy(&settings, &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut client = proxy.client();
    let port = servers[0].port;
    servers.remove(0).process.stop();
    let set = format!("SET {} v", keys[0][0]);
    let mut failures = 0;
    wait_until("the server is ejected", || {
        let reply = client.run(&set);
        failures += usize::from(reply.text().starts_with("ERR"));
        reply == Value::ok()
    });
    assert!(failures <= 3, "{failures} failures");
    assert_eq!(
        servers[0].client().run(&format!("GET {}", keys[0][0])),
        Value::bulk("v")
    );
    let _back = RedisServer::start_at(port, &[]);
    let mut direct = _back.client();
    wait_until("its keys come back", || {
        client.run(&set);
        direct.run(&format!("EXISTS {}", keys[0][0])) == Value::Int(1)
    });
    // For good: it takes new failures to eject it again.
    for key in keys[0].iter().take(20) {
        assert_eq!(client.run(&format!("SET {key} v")), Value::ok());
        assert_eq!(direct.run(&format!("EXISTS {key}")), Value::Int(1));
    }
}

#[test]
fn without_live_servers_the_answer_is_there_at_once() {
    let servers = redis_servers(2);
    let settings = [
        "hash: md5",
        "timeout: 1000",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 600000",
    ];
    let proxy = proxy(&settings, &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    let mut client = proxy.client();
    for server in &servers {
        server.process.signal(Signal::STOP);
    }
    // Each is ejected by its first silence; then nobody is waited for any more.
    for of in &keys {
        let reply = client.run(&format!("GET {}", of[0]));
        assert_eq!(reply, error("Connection timed out"));
    }
    for command in [
        "GET a",
        "SET a v",
        "MGET a b c d",
        "DEL a b c d",
        "MSET a 1 b 2",
    ] {
        assert_eq!(client.run(command), refused(), "{command}");
    }
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
}

#[test]
fn a_pool_whose_servers_come_later() {
    let port = free_port();
    let proxy = proxy(&["preconnect: true"], &[format!("127.0.0.1:{port}")]);
    let mut client = proxy.client();
    assert_eq!(client.run("GET k"), refused());
    let _late = RedisServer::start_at(port, &[]);
    wait_until("the server is used", || {
        client.run("SET k v") == Value::ok()
    });
    assert_eq!(client.run("GET k"), Value::bulk("v"));
}
