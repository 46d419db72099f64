//! nutcracker's statistics as it writes them: one line of JSON, blanks included.

use std::fmt::Write;
use std::sync::Arc;

use super::VERSION;
use crate::stats::{Field, POOL_FIELDS, PoolStat, PoolStats, SERVER_FIELDS, ServerStat};

/// What is said of the process.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The host's name.
    pub source: String,
    /// How long it runs, in seconds.
    pub uptime: u64,
    /// Now, in seconds since 1970.
    pub timestamp: u64,
}

/// The statistics of the process and of its pools.
pub fn json(summary: &Summary, pools: &[Arc<PoolStats>]) -> String {
    let mut objects = String::new();
    // nutcracker counts a pool's listener as a connection.
    let (mut ever, mut now) = (pools.len() as u64, pools.len() as u64);
    for stats in pools {
        let totals = stats.totals();
        let mut pool = numbers(&POOL_FIELDS, &totals.pool);
        ever += totals.pool[PoolStat::ClientsEver as usize];
        now = now.wrapping_add(totals.pool[PoolStat::ClientConnections as usize]);
        for (i, (name, server)) in stats.servers.iter().zip(&totals.servers).enumerate() {
            ever += server[ServerStat::ConnectsEver as usize];
            now = now.wrapping_add(server[ServerStat::Connections as usize]);
            let between = if i == 0 { ", " } else { "," };
            let numbers = numbers(&SERVER_FIELDS, server);
            let _ = write!(pool, "{between}{}: {{{numbers}}}", quoted(name));
        }
        let between = if objects.is_empty() { "" } else { "," };
        let _ = write!(objects, "{between}{}: {{{pool}}}", quoted(&stats.name));
    }
    let Summary {
        source,
        uptime,
        timestamp,
    } = summary;
    let source = quoted(source);
    format!(
        "{{\"service\":\"nutcracker\", \"source\":{source}, \"version\":\"{VERSION}\", \
         \"uptime\":{uptime}, \"timestamp\":{timestamp}, \"total_connections\":{ever}, \
         \"curr_connections\":{now}, {objects}}}\n"
    )
}

/// `"name":value` by commas. Without the numbers that nutcracker does not have.
fn numbers(fields: &[Field], values: &[u64]) -> String {
    let mut text = String::new();
    for (field, value) in fields.iter().zip(values) {
        let between = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{between}\"{}\":{value}", field.name);
    }
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_nutcrackers() {
        let summary = Summary {
            source: "host".into(),
            uptime: 97,
            timestamp: 1795164796,
        };
        let stats = |name: &str, servers: &[&str]| {
            let servers = servers.iter().map(|s| s.to_string()).collect();
            Arc::new(PoolStats::new(name.into(), servers))
        };
        let pools = [stats("a", &["o\"ne", "127.0.0.1:2"]), stats("b", &["x"])];
        let counters = pools[0].join(None);
        counters.add(PoolStat::ClientsEver, 3);
        counters.add(PoolStat::ClientConnections, 2);
        counters.add_of(1, ServerStat::ConnectsEver, 5);
        counters.add_of(1, ServerStat::Connections, 1);
        const POOL: &str = "\"client_eof\":0, \"client_err\":0, \"client_connections\":0, \
             \"server_ejects\":0, \"forward_error\":0, \"fragments\":0";
        const SERVER: &str = "{\"server_eof\":0, \"server_err\":0, \"server_timedout\":0, \
             \"server_connections\":0, \"server_ejected_at\":0, \"requests\":0, \
             \"request_bytes\":0, \"responses\":0, \"response_bytes\":0, \"in_queue\":0, \
             \"in_queue_bytes\":0, \"out_queue\":0, \"out_queue_bytes\":0}";
        let first = POOL.replace("connections\":0", "connections\":2");
        let second = SERVER.replace("connections\":0", "connections\":1");
        assert_eq!(
            json(&summary, &pools),
            format!(
                "{{\"service\":\"nutcracker\", \"source\":\"host\", \"version\":\"0.5.0\", \
                 \"uptime\":97, \"timestamp\":1795164796, \"total_connections\":10, \
                 \"curr_connections\":5, \"a\": {{{first}, \"o\\\"ne\": {SERVER},\
                 \"127.0.0.1:2\": {second}}},\"b\": {{{POOL}, \"x\": {SERVER}}}}}\n"
            )
        );
    }
}
