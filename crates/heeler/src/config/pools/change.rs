//! What differs between a pool of one file and of the next.

use std::fmt::{Debug, Write};
use std::time::Duration;

use super::{Address, Listen, Pool, Server};

/// For each server of `new`, its place in `old`: that of the same name and address, else one of the
/// same address that has got another name. A place is given once.
pub fn origins(old: &[Server], new: &[Server]) -> Vec<Option<usize>> {
    let is_same = |a: &Server, b: &Server| a.address == b.address && a.name == b.name;
    let mut origins: Vec<Option<usize>> = new
        .iter()
        .map(|server| old.iter().position(|o| is_same(o, server)))
        .collect();
    for (i, server) in new.iter().enumerate() {
        if origins[i].is_none() {
            let is_free = |place: &usize| !origins.contains(&Some(*place));
            let mut at_address = (0..old.len()).filter(|&o| old[o].address == server.address);
            origins[i] = at_address.find(is_free);
        }
    }
    origins
}

/// What a new file changes in a pool, in words for a log: `timeout 400 -> 1000 ms, +s3
/// (10.0.0.3:6379)`. Empty if it changes nothing. Passwords are not told.
pub fn changes(old: &Pool, new: &Pool) -> String {
    let mut told = Told(Vec::new());
    told.value("name", &old.name, &new.name);
    told.value("hash", old.hash.name(), new.hash.name());
    let distributions = (old.distribution.name(), new.distribution.name());
    told.value("distribution", distributions.0, distributions.1);
    let tags = [old, new].map(|p| {
        p.hash_tag
            .map(|t| [t.0 as char, t.1 as char].iter().collect())
    });
    told.option("hash_tag", tags);
    told.option("timeout", [old, new].map(|p| p.timeout.map(ms)));
    told.debug("backlog", &old.backlog, &new.backlog);
    let clients = [old, new].map(|p| p.client_connections.map(|most| most.to_string()));
    told.option("client_connections", clients);
    told.debug("tcpkeepalive", &old.tcpkeepalive, &new.tcpkeepalive);
    told.debug("redis", &old.redis, &new.redis);
    told.value("cross_slot", old.cross_slot.name(), new.cross_slot.name());
    if old.redis_auth != new.redis_auth {
        told.0.push("redis_auth".into());
    } else if old.redis_auth_from != new.redis_auth_from {
        told.0.push("redis_auth stands elsewhere".into());
    }
    told.debug("redis_db", &old.redis_db, &new.redis_db);
    told.debug("preconnect", &old.preconnect, &new.preconnect);
    let ejects = (old.auto_eject_hosts, new.auto_eject_hosts);
    told.debug("auto_eject_hosts", &ejects.0, &ejects.1);
    let connections = (old.server_connections, new.server_connections);
    told.debug("server_connections", &connections.0, &connections.1);
    let retry = [old, new].map(|p| ms(p.server_retry_timeout));
    told.value("server_retry_timeout", &retry[0], &retry[1]);
    told.option(
        "probe_interval",
        [old, new].map(|p| p.probe_interval.map(ms)),
    );
    let probe = [old, new].map(|p| ms(p.probe_timeout));
    told.value("probe_timeout", &probe[0], &probe[1]);
    told.option(
        "resolve_interval",
        [old, new].map(|p| p.resolve_interval.map(ms)),
    );
    let limits = (old.server_failure_limit, new.server_failure_limit);
    told.debug("server_failure_limit", &limits.0, &limits.1);
    told.tls(old, new);
    if old.reuseport != new.reuseport {
        told.0.push("reuseport (at the next start)".into());
    }
    if let [
        Listen::Unix { permissions: a, .. },
        Listen::Unix { permissions: b, .. },
    ] = [&old.listen, &new.listen]
        && a != b
    {
        told.0.push("permissions of the socket".into());
    }
    told.servers(&old.servers, &new.servers);
    // A key that is not told above.
    if told.0.is_empty() && old != new {
        told.0.push("other settings".into());
    }
    told.0.join(", ")
}

struct Told(Vec<String>);

impl Told {
    fn value(&mut self, key: &str, old: &str, new: &str) {
        if old != new {
            self.0.push(format!("{key} {old} -> {new}"));
        }
    }

    fn option(&mut self, key: &str, values: [Option<String>; 2]) {
        let [old, new] = values.map(|v| v.unwrap_or_else(|| "none".into()));
        self.value(key, &old, &new);
    }

    fn debug<T: Debug + PartialEq>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.0.push(format!("{key} {old:?} -> {new:?}"));
        }
    }

    fn tls(&mut self, old: &Pool, new: &Pool) {
        const CLIENTS: [&str; 3] = ["tls on", "tls off", "tls"];
        const SERVERS: [&str; 3] = ["server_tls on", "server_tls off", "server_tls"];
        self.switched(CLIENTS, &old.tls, &new.tls);
        self.switched(SERVERS, &old.server_tls, &new.server_tls);
    }

    fn switched<T: PartialEq>(&mut self, words: [&str; 3], old: &Option<T>, new: &Option<T>) {
        let [on, off, other] = words;
        let word = match (old, new) {
            (None, Some(_)) => on,
            (Some(_), None) => off,
            (old, new) if old != new => other,
            _ => return,
        };
        self.0.push(word.into());
    }

    fn servers(&mut self, old: &[Server], new: &[Server]) {
        let named = |list: &[Server], name: &str| list.iter().position(|s| s.name == name);
        for server in old.iter().filter(|s| named(new, &s.name).is_none()) {
            self.0.push(format!("-{}", shown(server)));
        }
        for server in new {
            match named(old, &server.name).map(|i| &old[i]) {
                None => self.0.push(format!("+{}", shown(server))),
                Some(was) if was != server => {
                    let mut text = server.name.clone();
                    if was.address != server.address {
                        let _ = write!(text, " is now at {}", server.address);
                    }
                    if was.weight != server.weight {
                        let _ = write!(text, " weight {} -> {}", was.weight, server.weight);
                    }
                    self.0.push(text);
                }
                Some(_) => {}
            }
        }
    }
}

fn shown(server: &Server) -> String {
    let address = server.address.to_string();
    match address == server.name {
        true => address,
        false => format!("{} ({address})", server.name),
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix { path } => f.write_str(path),
        }
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listen::Tcp { host, port } => write!(f, "{host}:{port}"),
            Listen::Unix { path, .. } => f.write_str(path),
        }
    }
}

impl Listen {
    /// Whether a listener at the one can serve the other.
    pub fn is_at(&self, other: &Listen) -> bool {
        match (self, other) {
            (Listen::Unix { path: a, .. }, Listen::Unix { path: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn pool(keys: &[&str], servers: &[&str]) -> Pool {
        let mut text = String::from("a:\n  listen: 127.0.0.1:1\n  redis: true\n");
        keys.iter().for_each(|key| text += &format!("  {key}\n"));
        text += "  servers:\n";
        servers.iter().for_each(|s| text += &format!("   - {s}\n"));
        parse("f.yml", &text).unwrap().pools.remove(0)
    }

    #[test]
    fn servers_are_known_again() {
        let list = |lines: &[&str]| pool(&[], lines).servers;
        let old = list(&["h:1:1 a", "h:2:1 b", "h:3:1 c"]);
        for (lines, found) in [
            (
                &["h:1:1 a", "h:2:1 b", "h:3:1 c"][..],
                &[Some(0), Some(1), Some(2)][..],
            ),
            (&["h:3:5 c"], &[Some(2)]),
            (&["h:2:1 other"], &[Some(1)]),
            (&["h:9:1 a", "h:1:1 b"], &[None, Some(0)]),
            (&["h:1:1 a", "h:1:1 z"], &[Some(0), None]),
        ] {
            assert_eq!(origins(&old, &list(lines)), found, "{lines:?}");
        }
    }

    #[test]
    fn changes_are_told_without_passwords() {
        let old = pool(&["timeout: 400"], &["h:1:1 a", "h:2:1 b", "h:4:1"]);
        assert_eq!(changes(&old, &old), "");
        let keys = ["timeout: 1000", "redis_auth: hunter2", "hash: md5"];
        let new = pool(&keys, &["h:3:1 c", "h:9:2 b", "h:4:1"]);
        assert_eq!(
            changes(&old, &new),
            "hash fnv1a_64 -> md5, timeout 400 ms -> 1000 ms, redis_auth, -a (h:1), \
             b is now at h:9 weight 1 -> 2, +c (h:3)"
        );
    }

    #[test]
    fn no_change_of_a_key_goes_untold() {
        let old = pool(&[], &["h:1:1 a"]);
        for key in [
            "hash: md5",
            "hash_tag: \"{}\"",
            "distribution: modula",
            "timeout: 9",
            "backlog: 9",
            "client_connections: 9",
            "tcpkeepalive: true",
            "reuseport: true",
            "redis_auth: x",
            "redis_auth_file: /x",
            "redis_db: 3",
            "tls_cert: /x",
            "server_tls: true",
            "cross_slot: first_key",
            "preconnect: true",
            "auto_eject_hosts: true",
            "server_connections: 3",
            "server_retry_timeout: 5",
            "server_failure_limit: 9",
            "probe_interval: 9",
            "probe_timeout: 9",
            "resolve_interval: 9",
        ] {
            let told = changes(&old, &pool(&[key], &["h:1:1 a"]));
            let name = key.split([':']).next().unwrap();
            let name = name.strip_suffix("_file").unwrap_or(name);
            let name = name.strip_suffix("_cert").unwrap_or(name);
            assert!(told.starts_with(name), "{key}: {told}");
        }
    }
}
