//! What twemproxy takes without a word, and an operator regrets later.

use std::ops::Range;

use heeler_ring::{Distribution, Hash};

use super::Pool;
use crate::config::diagnostic::{Finding, Findings};
use crate::config::document::Block;

/// Adds the warnings about a pool that has no errors.
pub(super) fn report(pool: &Pool, block: &Block<'_>, findings: &mut Findings<'_>) {
    let place = |key: &str| -> Range<usize> {
        let entry = block.entries.iter().find(|entry| entry.key.text == key);
        entry.map_or(block.name.at.clone(), |entry| entry.key.at.clone())
    };
    let given = |key: &str| block.entries.iter().any(|entry| entry.key.text == key);
    let mut warn = |key: &str, message: String, help: &str| {
        let warning = Finding::warning(place(key), message)
            .pool(&pool.name)
            .key(key);
        findings.push(warning.help(help));
    };
    placement(pool, &mut warn);
    if !given("timeout") {
        let message = "not given: a server that stops answering holds its clients for ever";
        warn(
            "timeout",
            message.to_owned(),
            "add 'timeout: 400' (milliseconds), or 0 to mean it",
        );
    }
    if given("client_connections") {
        let message = "twemproxy ignores this limit; here it holds";
        warn(
            "client_connections",
            message.to_owned(),
            "remove the key for no limit",
        );
    }
    let has_password = pool.redis_auth.is_some() || pool.redis_auth_from.is_some();
    if has_password && pool.redis_db > 0 {
        let message = format!(
            "with 'redis_auth' the data stays in database 0, not in {}: twemproxy selects before \
             it authenticates, and the servers refuse",
            pool.redis_db
        );
        let help = "remove 'redis_db' to say what happens, or 'redis_auth' to use the database";
        warn("redis_db", message, help);
    }
    if pool.redis_db > 0 && !pool.redis {
        warn(
            "redis_db",
            "ignored in a memcached pool".to_owned(),
            "remove the key",
        );
    }
    if given("probe_timeout") && pool.probes().is_none() {
        let message = "ignored: no server of this pool is probed";
        let help = "add 'probe_interval: 1000' (milliseconds), or remove the key";
        warn("probe_timeout", message.to_owned(), help);
    }
    if pool.auto_eject_hosts {
        ejection(pool, &mut warn);
    }
}

fn placement(pool: &Pool, warn: &mut impl FnMut(&str, String, &str)) {
    let weights_differ = pool
        .servers
        .iter()
        .any(|server| server.weight != pool.servers[0].weight);
    if pool.hash == Hash::Crc32
        && pool.distribution == Distribution::Ketama
        && pool.servers.len() > 1
    {
        let message = "crc32 has only 15 bits: with ketama every key goes to one server";
        let help = "use another hash for new data, such as crc32a or md5; it moves existing keys";
        warn("hash", message.to_owned(), help);
    }
    if pool.distribution == Distribution::Random && weights_differ {
        let message = "random takes no notice of the servers' weights";
        warn(
            "distribution",
            message.to_owned(),
            "use modula or ketama, or equal weights",
        );
    }
}

fn ejection(pool: &Pool, warn: &mut impl FnMut(&str, String, &str)) {
    let unnamed = pool
        .servers
        .iter()
        .filter(|server| !server.is_named)
        .count();
    if pool.servers.len() == 1 {
        let message = "once the only server is ejected, every request fails";
        warn(
            "auto_eject_hosts",
            message.to_owned(),
            "write false, or add servers",
        );
    } else if unnamed > 0 && pool.distribution != Distribution::Random {
        let message = format!(
            "{unnamed} of {} servers have no name: a machine that replaces an ejected one gets \
             other keys",
            pool.servers.len()
        );
        let help = "give each server a name: '- host:port:weight name'; a new name moves keys once";
        warn("servers", message, help);
    }
}
