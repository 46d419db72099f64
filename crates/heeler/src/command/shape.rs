//! What RESP3 makes of a command's reply, where RESP2 shows an array or a string of bytes.

use super::{Command, Id};

/// The form of a reply in RESP3, told by the command alone, as Redis 7.0 answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As in RESP2, but for nulls.
    Plain,
    /// Pairs become a map.
    Map,
    /// An array of maps.
    Maps,
    /// Elements become a set.
    Set,
    /// Bytes become a floating-point number.
    Double,
    /// Elements become floating-point numbers.
    Doubles,
    /// A member and its score.
    Scored,
    /// Members and scores, one after the other, become pairs.
    ScoredPairs,
    /// Elements become pairs.
    Pairs,
    /// A key, a member, and its score.
    KeyMemberScore,
    /// A key, and pairs of members and scores.
    KeyAndScored,
    /// Elements that are arrays hold floating-point numbers.
    Positions,
    /// Arrays inside of elements that are arrays hold floating-point numbers.
    Places,
}

impl Shape {
    /// The shape of the reply to a command.
    pub fn of(command: &Command<'_>) -> Shape {
        let has = |word: &str| {
            command
                .args(1)
                .any(|a| a.eq_ignore_ascii_case(word.as_bytes()))
        };
        let either = |yes: bool, shape: Shape| if yes { shape } else { Shape::Plain };
        match command.spec.id {
            Id::Hgetall | Id::XinfoStream => Shape::Map,
            Id::XinfoGroups | Id::XinfoConsumers => Shape::Maps,
            Id::Smembers | Id::Sinter | Id::Sunion | Id::Sdiff => Shape::Set,
            Id::Spop => either(command.len() > 2, Shape::Set),
            Id::Zscore | Id::Zincrby => Shape::Double,
            Id::Zadd => either(has("incr"), Shape::Double),
            Id::Zmscore => Shape::Doubles,
            Id::Zpopmin | Id::Zpopmax if command.len() == 2 => Shape::Scored,
            Id::Zpopmin | Id::Zpopmax => Shape::ScoredPairs,
            Id::Zrange
            | Id::Zrevrange
            | Id::Zrangebyscore
            | Id::Zrevrangebyscore
            | Id::Zrandmember
            | Id::Zunion
            | Id::Zinter
            | Id::Zdiff => either(has("withscores"), Shape::ScoredPairs),
            Id::Hrandfield => either(has("withvalues"), Shape::Pairs),
            Id::Zmpop | Id::Bzmpop => Shape::KeyAndScored,
            Id::Bzpopmin | Id::Bzpopmax => Shape::KeyMemberScore,
            Id::Geopos => Shape::Positions,
            Id::Georadius
            | Id::Georadiusbymember
            | Id::GeoradiusRo
            | Id::GeoradiusbymemberRo
            | Id::Geosearch => either(has("withcoord"), Shape::Places),
            Id::Lcs => either(has("idx"), Shape::Map),
            _ => Shape::Plain,
        }
    }
}
