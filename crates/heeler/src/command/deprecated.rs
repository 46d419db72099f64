//! Commands that Redis advises against, and those that people do not use, for `COMMAND DOCS`.

use super::Id;

/// Since which version of Redis another command is better, and which; `None` if none is.
pub(super) fn deprecated(id: Id) -> Option<(&'static str, &'static str)> {
    Some(match id {
        Id::Brpoplpush => ("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
        Id::ClusterSlaves => ("5.0.0", "`CLUSTER REPLICAS`"),
        Id::ClusterSlots => ("7.0.0", "`CLUSTER SHARDS`"),
        Id::Georadius => (
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
        ),
        Id::GeoradiusRo => ("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
        Id::Georadiusbymember => (
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
        Id::GeoradiusbymemberRo => (
            "6.2.0",
            "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
        Id::Getset => ("6.2.0", "`SET` with the `!GET` argument"),
        Id::Hmset => ("4.0.0", "`HSET` with multiple field-value pairs"),
        Id::Rpoplpush => ("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
        Id::Slaveof => ("5.0.0", "`REPLICAOF`"),
        Id::Substr => ("2.0.0", "`GETRANGE`"),
        Id::Zrangebylex => ("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
        Id::Zrangebyscore => ("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
        Id::Zrevrange => ("6.2.0", "`ZRANGE` with the `REV` argument"),
        Id::Zrevrangebylex => ("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
        Id::Zrevrangebyscore => ("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
        _ => return None,
    })
}

/// Whether the command is for servers and their tests only.
pub(super) fn is_of_system(id: Id) -> bool {
    matches!(
        id,
        Id::Debug | Id::Pfdebug | Id::Pfselftest | Id::Replconf | Id::RestoreAsking
    )
}
