//! Redis's hints to clients and proxies: whether a reply may differ from time to time, and how a
//! command is spread over the shards of a cluster.

use super::Spec;

impl Spec {
    /// The tips that `COMMAND INFO` shows.
    pub fn tips(&self) -> impl Iterator<Item = &'static str> {
        let (request, response) = policies(self);
        [determinism(self), request, response].into_iter().flatten()
    }
}

fn determinism(spec: &Spec) -> Option<&'static str> {
    use super::Id::*;
    match spec.id {
        Dump
        | Migrate
        | ObjectEncoding
        | ObjectFreq
        | ObjectIdletime
        | ObjectRefcount
        | Pttl
        | Randomkey
        | Scan
        | Ttl
        | Spop
        | Srandmember
        | Sscan
        | Hrandfield
        | Hscan
        | Zrandmember
        | Zscan
        | Xadd
        | Xautoclaim
        | Xclaim
        | XinfoConsumers
        | Xpending
        | Xtrim
        | FunctionStats
        | ClientInfo
        | ClientList
        | Info
        | Lastsave
        | LatencyDoctor
        | LatencyGraph
        | LatencyHistogram
        | LatencyHistory
        | LatencyLatest
        | MemoryDoctor
        | MemoryMallocStats
        | MemoryStats
        | SlowlogGet
        | SlowlogLen
        | Time
        | ClusterBumpepoch
        | ClusterCountFailureReports
        | ClusterGetkeysinslot
        | ClusterInfo
        | ClusterLinks
        | ClusterNodes
        | ClusterReplicas
        | ClusterShards
        | ClusterSlaves
        | ClusterSlots => Some("nondeterministic_output"),
        Keys | Sdiff | Sinter | Smembers | Sunion | Hgetall | Hkeys | Hvals | FunctionList
        | Command | CommandDocs | CommandInfo | CommandList | ModuleList => {
            Some("nondeterministic_output_order")
        }
        _ => None,
    }
}

/// To whom a request goes, and how the replies become one.
fn policies(spec: &Spec) -> (Option<&'static str>, Option<&'static str>) {
    use super::Id::*;
    const SHARDS: Option<&str> = Some("request_policy:all_shards");
    const NODES: Option<&str> = Some("request_policy:all_nodes");
    const OWNERS: Option<&str> = Some("request_policy:multi_shard");
    const ALL: Option<&str> = Some("response_policy:all_succeeded");
    const ONE: Option<&str> = Some("response_policy:one_succeeded");
    const SUM: Option<&str> = Some("response_policy:agg_sum");
    const LEAST: Option<&str> = Some("response_policy:agg_min");
    const AND: Option<&str> = Some("response_policy:agg_logical_and");
    const SPECIAL: Option<&str> = Some("response_policy:special");
    match spec.id {
        FunctionDelete | FunctionFlush | FunctionLoad | FunctionRestore => (SHARDS, ALL),
        Ping | Flushall | Flushdb | MemoryPurge => (SHARDS, ALL),
        FunctionStats | Info | MemoryDoctor | MemoryMallocStats | MemoryStats => (SHARDS, SPECIAL),
        FunctionKill | ScriptKill => (SHARDS, ONE),
        Dbsize => (SHARDS, SUM),
        Wait => (SHARDS, LEAST),
        ScriptExists => (SHARDS, AND),
        Keys | Randomkey => (SHARDS, None),
        ScriptFlush | ScriptLoad | ConfigSet | LatencyReset | SlowlogReset => (NODES, ALL),
        LatencyDoctor | LatencyGraph | LatencyHistogram => (NODES, SPECIAL),
        LatencyHistory | LatencyLatest => (NODES, SPECIAL),
        SlowlogLen => (NODES, SUM),
        SlowlogGet => (NODES, None),
        Del | Exists | Touch | Unlink => (OWNERS, SUM),
        Mset => (OWNERS, ALL),
        Msetnx => (OWNERS, LEAST),
        Mget => (OWNERS, None),
        Scan => (Some("request_policy:special"), None),
        _ => (None, None),
    }
}
