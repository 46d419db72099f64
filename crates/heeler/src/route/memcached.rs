//! Where a memcached request goes, and how the replies to its parts become one.

use super::{Destination, Gather, Herd, Part, Placement, Route};
use crate::limits;
use crate::wire::memcache::{END, Items, Quiet, Request, Way, is_error};

/// What nutcracker asks for the server that it sends `version` to.
const ANY_KEY: &[u8] = b"placeholder";

const NOT_OF_THE_KIND: &[u8] = b"SERVER_ERROR a server's reply is not of the kind expected\r\n";

impl Placement {
    /// Decides the way of a request that goes to a server. `random` is any random number: the
    /// distribution `random` asks it. `None`: no server is live.
    pub fn route_memcached(&self, request: &Request<'_>, random: u64) -> Option<Route> {
        let Placement::Pool(Herd { owners, live, .. }) = self else {
            return None;
        };
        let to = |key: &[u8]| Some(Destination::Server(owners.pick(key, random)?));
        match request.spec?.way {
            Way::Key => Some(whole(request, to(request.key())?)),
            Way::Any => Some(whole(request, to(ANY_KEY)?)),
            Way::Keys(first) => by_key(owners, request, first, random),
            Way::Every => every(live, request),
            Way::Here(_) | Way::Quit | Way::Unknown => None,
        }
    }
}

fn gather(merge: Merge, parts: usize) -> Gather {
    Gather::new(super::Merge::Memcached(merge), parts)
}

fn whole(request: &Request<'_>, to: Destination) -> Route {
    let Quiet::Usual(words) = request.quiet else {
        return Route::To(to);
    };
    let part = Part {
        to,
        request: request.raw().to_vec(),
    };
    let gather = gather(Merge::Unusual(words), 1);
    Route::Parts(vec![part], gather)
}

/// In parts for the servers that own keys of it.
fn by_key(
    owners: &heeler_ring::Placement,
    request: &Request<'_>,
    first: usize,
    random: u64,
) -> Option<Route> {
    let mut keys = request.words(first);
    // Of lines without end a memcached reads `get` and `gets`; on others it closes the connection.
    let longest = match first {
        1 => usize::MAX,
        _ => limits::COMMAND_LINE_BYTES,
    };
    let fits = request.raw().len() <= longest;
    if keys.len() == 1 && fits {
        let owner = owners.pick(keys.next()?, random)?;
        return Some(Route::To(Destination::Server(owner)));
    }
    let mut split = Split::new(request.words(0).take(first), longest);
    for (i, key) in keys.enumerate() {
        let random = random.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        split.push(key, owners.pick(key, random)?);
    }
    match split.parts.as_slice() {
        [only] if fits => Some(Route::To(only.to)),
        _ => Some(split.finish()),
    }
}

/// The parts of a request with several keys.
struct Split {
    /// What stands before the keys.
    head: Vec<u8>,
    /// The longest line of a part.
    longest: usize,
    parts: Vec<Part>,
    /// For each server the part that its next key goes to.
    open: Vec<(usize, usize)>,
    keys: Keys,
}

impl Split {
    fn new<'a>(head: impl Iterator<Item = &'a [u8]>, longest: usize) -> Split {
        Split {
            head: head.collect::<Vec<_>>().join(&b' '),
            longest,
            parts: Vec::new(),
            open: Vec::new(),
            keys: Keys::default(),
        }
    }

    fn push(&mut self, key: &[u8], server: usize) {
        let part = self.part(server, key.len());
        self.parts[part].request.push(b' ');
        self.parts[part].request.extend_from_slice(key);
        self.keys.push(key, part);
    }

    /// The part of a server with room for a key of so many bytes.
    fn part(&mut self, server: usize, length: usize) -> usize {
        let known = self.open.iter().position(|&(owner, _)| owner == server);
        if let Some(known) = known {
            let part = self.open[known].1;
            let line = self.parts[part].request.len() + 1 + length + 2;
            if line <= self.longest {
                return part;
            }
            self.open.swap_remove(known);
        }
        self.open.push((server, self.parts.len()));
        self.parts.push(Part {
            to: Destination::Server(server),
            request: self.head.clone(),
        });
        self.parts.len() - 1
    }

    fn finish(mut self) -> Route {
        for part in &mut self.parts {
            part.request.extend_from_slice(b"\r\n");
        }
        let gather = gather(Merge::Values(self.keys), self.parts.len());
        Route::Parts(self.parts, gather)
    }
}

/// Keys, one after the other in one run of bytes, and which part answers for each.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each ends, and its part.
    places: Vec<(usize, usize)>,
}

impl Keys {
    fn push(&mut self, key: &[u8], part: usize) {
        self.bytes.extend_from_slice(key);
        self.places.push((self.bytes.len(), part));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut start = 0;
        self.places.iter().map(move |&(end, part)| {
            let key = &self.bytes[start..end];
            start = end;
            (key, part)
        })
    }
}

/// To every live server, as it is.
fn every(live: &[usize], request: &Request<'_>) -> Option<Route> {
    let part = |&server: &usize| Part {
        to: Destination::Server(server),
        request: request.raw().to_vec(),
    };
    match live {
        [] => None,
        [only] => Some(Route::To(Destination::Server(*only))),
        _ => {
            let gather = gather(Merge::AllOk, live.len());
            Some(Route::Parts(live.iter().map(part).collect(), gather))
        }
    }
}

/// How the replies to the parts of a memcached request become one.
#[derive(Clone, Debug)]
pub enum Merge {
    /// The values of these keys in their order; those that no server has are left out.
    Values(Keys),
    /// OK when all say so.
    AllOk,
    /// The one reply, or nothing if its first word is one of these.
    Unusual(&'static [&'static str]),
}

impl Merge {
    /// One reply of all: the first error where there is one.
    pub(super) fn merge(&self, replies: &[&[u8]]) -> Vec<u8> {
        match self {
            Merge::Values(keys) => values(keys, replies),
            Merge::AllOk => match replies.iter().find(|&&reply| reply != b"OK\r\n") {
                None => b"OK\r\n".to_vec(),
                Some(error) if is_error(error) => error.to_vec(),
                Some(_) => NOT_OF_THE_KIND.to_vec(),
            },
            Merge::Unusual(usual) => {
                let reply = replies.first().copied().unwrap_or_default();
                let word = reply.split(|b| b" \r".contains(b)).next();
                let is_usual = usual.iter().any(|usual| word == Some(usual.as_bytes()));
                if is_usual { Vec::new() } else { reply.to_vec() }
            }
        }
    }
}

fn values(keys: &Keys, replies: &[&[u8]]) -> Vec<u8> {
    let ends = replies.iter().map(|reply| Items::of(reply).end());
    if let Some(error) = ends.clone().find(|end| is_error(end)) {
        return error.to_vec();
    }
    let mut parts: Vec<Items<'_>> = replies.iter().map(|reply| Items::of(reply)).collect();
    let mut merged = Vec::with_capacity(replies.iter().map(|reply| reply.len()).sum());
    for (key, part) in keys.iter() {
        let items = &mut parts[part];
        if let Some((found, item)) = items.peek()
            && found == key
        {
            merged.extend_from_slice(item);
            items.next();
        }
    }
    match parts.iter().all(Items::is_over) {
        true => merged.extend_from_slice(END),
        false => merged = NOT_OF_THE_KIND.to_vec(),
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::super::tests::pool;
    use super::*;
    use crate::wire::memcache::Decoder;

    fn route(placement: &Placement, bytes: &str) -> Option<Route> {
        let mut decoder = Decoder::default();
        decoder.decode(bytes.as_bytes()).unwrap();
        let request = decoder.request(bytes.as_bytes()).unwrap();
        assert_eq!(request.refused, None);
        placement.route_memcached(&request, 0)
    }

    fn shown(route: Option<Route>) -> String {
        match route {
            None => "nowhere".into(),
            Some(Route::To(to)) => format!("{to:?}"),
            Some(Route::Parts(parts, _)) => {
                let part = |p: &Part| format!("{:?}: {}", p.to, p.request.escape_ascii());
                parts.iter().map(part).collect::<Vec<_>>().join(" | ")
            }
            Some(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn ways_of_requests() {
        for (bytes, way) in [
            ("get a\r\n", "Server(0)"),
            ("get e\r\n", "Server(1)"),
            ("set {e}a 0 0 1\r\nx\r\n", "Server(1)"),
            ("gets a a\r\n", "Server(0)"),
            (
                "get a e f a\r\n",
                r"Server(0): get a a\r\n | Server(1): get e f\r\n",
            ),
            (
                "gat 30 a  e\r\n",
                r"Server(0): gat 30 a\r\n | Server(1): gat 30 e\r\n",
            ),
            ("mg ZQ== b v\r\n", "Server(1)"),
            ("mg e v q\r\n", r"Server(1): mg e v\r\n"),
            ("version\r\n", "Server(0)"),
            (
                "flush_all 9\r\n",
                r"Server(0): flush_all 9\r\n | Server(1): flush_all 9\r\n",
            ),
        ] {
            assert_eq!(shown(route(&pool(2), bytes)), way, "{bytes:?}");
            assert_eq!(shown(route(&pool(0), bytes)), "nowhere", "{bytes:?}");
        }
        assert_eq!(shown(route(&pool(1), "flush_all\r\n")), "Server(0)");
    }

    #[test]
    fn only_get_may_be_long() {
        let keys: Vec<String> = (0..400).map(|i| format!("key:{i:04}")).collect();
        let get = format!("get {}\r\n", keys.join(" "));
        assert_eq!(shown(route(&pool(1), &get)), "Server(0)");
        let gat = format!("gat 30 {}\r\n", keys.join(" "));
        let Some(Route::Parts(parts, _)) = route(&pool(1), &gat) else {
            panic!("parts");
        };
        let mut found = Vec::new();
        for part in &parts {
            assert!(part.request.len() <= limits::COMMAND_LINE_BYTES);
            let line = std::str::from_utf8(&part.request).unwrap();
            found.extend(line.split_ascii_whitespace().skip(2).map(str::to_owned));
        }
        assert_eq!(parts.len(), 2);
        assert_eq!(found, keys);
    }

    fn keys(names: &[&str], order: &[usize]) -> Merge {
        let mut keys = Keys::default();
        let all = names.iter().zip(order);
        all.for_each(|(name, part)| keys.push(name.as_bytes(), *part));
        Merge::Values(keys)
    }

    #[test]
    fn parts_are_merged_in_the_order_of_the_keys() {
        let (a, b, c) = (
            "VALUE a 0 1\r\nx\r\n",
            "VALUE b 0 5\r\nEND\r\n\r\n",
            "VALUE c 0 0\r\n\r\n",
        );
        let not = std::str::from_utf8(NOT_OF_THE_KIND).unwrap();
        let error = "SERVER_ERROR Connection refused\r\n";
        for (names, order, parts, merged) in [
            (
                &["a", "b", "a", "c"][..],
                &[0, 1, 0, 1][..],
                [format!("{a}{a}END\r\n"), format!("{b}{c}END\r\n")],
                format!("{a}{b}{a}{c}END\r\n"),
            ),
            (
                &["a", "b", "c"],
                &[0, 1, 0],
                [format!("{c}END\r\n"), "END\r\n".into()],
                format!("{c}END\r\n"),
            ),
            (
                &["a", "b"],
                &[0, 1],
                [format!("{a}END\r\n"), error.into()],
                error.into(),
            ),
            (
                &["a", "b"],
                &[0, 1],
                [format!("{a}{error}"), format!("{b}END\r\n")],
                error.into(),
            ),
            (
                &["a", "b"],
                &[0, 1],
                [format!("{b}END\r\n"), format!("{a}END\r\n")],
                not.into(),
            ),
            (
                &["a", "b"],
                &[0, 1],
                ["STORED\r\n".into(), "END\r\n".into()],
                not.into(),
            ),
        ] {
            let replies: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            let reply = keys(names, order).merge(&replies);
            assert_eq!(String::from_utf8(reply).unwrap(), merged, "{parts:?}");
        }
    }

    #[test]
    fn all_ok_is_ok_and_the_usual_is_dropped() {
        let (ok, error): (&[u8], &[u8]) = (b"OK\r\n", b"CLIENT_ERROR no\r\n");
        assert_eq!(Merge::AllOk.merge(&[ok, ok]), ok);
        assert_eq!(Merge::AllOk.merge(&[ok, error]), error);
        assert_eq!(Merge::AllOk.merge(&[ok, b"5\r\n"]), NOT_OF_THE_KIND);
        let quiet = Merge::Unusual(&["HD", "VA"]);
        for (reply, left) in [
            ("HD\r\n", ""),
            ("HD t1\r\n", ""),
            ("VA 1\r\nx\r\n", ""),
            ("NF\r\n", "NF\r\n"),
            ("SERVER_ERROR x\r\n", "SERVER_ERROR x\r\n"),
        ] {
            assert_eq!(quiet.merge(&[reply.as_bytes()]), left.as_bytes());
        }
    }
}
