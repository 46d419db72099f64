//! The twelve hash functions of twemproxy, quirks included.
//!
//! A pool that moves from twemproxy keeps its keys on the same servers only if every function
//! gives the same 32 bits, also where twemproxy differs from the published function of the same
//! name. Those differences are noted at each variant of [`Hash`](enum@Hash). They are those of
//! twemproxy on x86-64, where C's `char` is signed: a byte of 0x80 or more is sign-extended. (A
//! twemproxy built for arm64 differs for such bytes.)
//!
//! ```
//! use heeler_ring::Hash;
//!
//! let hash = Hash::from_name("fnv1a_64").unwrap();
//! assert_eq!(hash.hash(b"apple"), 1488911807);
//! assert_eq!(hash.name(), "fnv1a_64");
//! ```

use md5::{Digest, Md5};

/// A hash function of a twemproxy pool (`hash:` in its configuration).
///
/// [`Hash::hash`] is the function itself; [`Hash::of_key`] is what placement uses, which gives a
/// zero-length key the hash 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Hash {
    /// Bob Jenkins's one-at-a-time, with sign-extended bytes.
    OneAtATime,
    /// The first four bytes of MD5, read as little-endian.
    Md5,
    /// CRC-16/XMODEM in a 32-bit accumulator that is never masked: the low 16 bits are the CRC,
    /// the upper 16 are left-overs of the shifts.
    Crc16,
    /// Bits 16 to 30 of CRC-32: **15 bits only**. In a ketama pool every key lands on one server.
    Crc32,
    /// CRC-32 as in zlib.
    Crc32a,
    /// The low 32 bits of 64-bit FNV-1, with sign-extended bytes.
    Fnv1_64,
    /// Not FNV-1a-64 but the same steps in 32-bit arithmetic, with the truncated constants of the
    /// 64-bit function and sign-extended bytes. twemproxy's default.
    #[default]
    Fnv1a64,
    /// 32-bit FNV-1, with sign-extended bytes.
    Fnv1_32,
    /// 32-bit FNV-1a, with sign-extended bytes.
    Fnv1a32,
    /// Paul Hsieh's SuperFastHash, started at 0 instead of the length.
    Hsieh,
    /// MurmurHash2, seeded with 0xdeadbeef times the length.
    Murmur,
    /// Bob Jenkins's lookup3 (`hashlittle`) with the initial value 13.
    Jenkins,
}

impl Hash {
    /// All twelve, in the order in which twemproxy lists them.
    pub const ALL: [Hash; 12] = [
        Hash::OneAtATime,
        Hash::Md5,
        Hash::Crc16,
        Hash::Crc32,
        Hash::Crc32a,
        Hash::Fnv1_64,
        Hash::Fnv1a64,
        Hash::Fnv1_32,
        Hash::Fnv1a32,
        Hash::Hsieh,
        Hash::Murmur,
        Hash::Jenkins,
    ];

    /// The function of this name in a twemproxy configuration. Names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// The name in a twemproxy configuration.
    pub fn name(self) -> &'static str {
        match self {
            Hash::OneAtATime => "one_at_a_time",
            Hash::Md5 => "md5",
            Hash::Crc16 => "crc16",
            Hash::Crc32 => "crc32",
            Hash::Crc32a => "crc32a",
            Hash::Fnv1_64 => "fnv1_64",
            Hash::Fnv1a64 => "fnv1a_64",
            Hash::Fnv1_32 => "fnv1_32",
            Hash::Fnv1a32 => "fnv1a_32",
            Hash::Hsieh => "hsieh",
            Hash::Murmur => "murmur",
            Hash::Jenkins => "jenkins",
        }
    }

    /// The raw value of the function for these bytes.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u32 {
        match self {
            Hash::OneAtATime => one_at_a_time(bytes),
            Hash::Md5 => md5(bytes),
            Hash::Crc16 => crc16(bytes),
            Hash::Crc32 => (crc32fast::hash(bytes) >> 16) & 0x7fff,
            Hash::Crc32a => crc32fast::hash(bytes),
            Hash::Fnv1_64 => fnv1_64(bytes),
            Hash::Fnv1a64 => fnv1a_64(bytes),
            Hash::Fnv1_32 => fnv1_32(bytes),
            Hash::Fnv1a32 => fnv1a_32(bytes),
            Hash::Hsieh => hsieh(bytes),
            Hash::Murmur => murmur(bytes),
            Hash::Jenkins => jenkins(bytes),
        }
    }

    /// The hash by which a key is placed: [`Hash::hash`], but 0 for a zero-length key, whatever
    /// the function says of it.
    #[inline]
    pub fn of_key(self, key: &[u8]) -> u32 {
        if key.is_empty() { 0 } else { self.hash(key) }
    }
}

/// The four 32-bit words of an MD5 digest, read as little-endian.
pub(crate) fn md5_words(bytes: &[u8]) -> [u32; 4] {
    let digest = Md5::digest(bytes);
    std::array::from_fn(|i| word(&digest, i * 4))
}

/// The CRC-16/XMODEM table (polynomial 0x1021, most significant bit first).
pub(crate) const CRC16_TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                (crc << 1) ^ 0x1021
            } else {
                crc << 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// A byte as C's signed `char` becomes a `uint32_t`.
#[inline]
fn signed(byte: u8) -> u32 {
    byte as i8 as u32
}

/// The little-endian 32-bit word at offset `at`.
#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    let b = &bytes[at..at + 4];
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

/// The little-endian 16-bit word at offset `at`.
#[inline]
fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn one_at_a_time(bytes: &[u8]) -> u32 {
    let mut h = 0u32;
    for &byte in bytes {
        h = h.wrapping_add(signed(byte));
        h = h.wrapping_add(h << 10);
        h ^= h >> 6;
    }
    h = h.wrapping_add(h << 3);
    h ^= h >> 11;
    h.wrapping_add(h << 15)
}

fn md5(bytes: &[u8]) -> u32 {
    md5_words(bytes)[0]
}

fn crc16(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (crc << 8) ^ u32::from(CRC16_TABLE[(crc >> 8) as usize & 0xff ^ usize::from(byte)])
    })
}

const FNV_64_INIT: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_64_PRIME: u64 = 0x0100_0000_01b3;
const FNV_32_INIT: u32 = 0x811c_9dc5;
const FNV_32_PRIME: u32 = 0x0100_0193;

fn fnv1_64(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(FNV_64_INIT, |hash, &byte| {
        hash.wrapping_mul(FNV_64_PRIME) ^ (byte as i8 as u64)
    });
    hash as u32
}

fn fnv1a_64(bytes: &[u8]) -> u32 {
    bytes.iter().fold(FNV_64_INIT as u32, |hash, &byte| {
        (hash ^ signed(byte)).wrapping_mul(FNV_64_PRIME as u32)
    })
}

fn fnv1_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(FNV_32_INIT, |hash, &byte| {
        hash.wrapping_mul(FNV_32_PRIME) ^ signed(byte)
    })
}

fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(FNV_32_INIT, |hash, &byte| {
        (hash ^ signed(byte)).wrapping_mul(FNV_32_PRIME)
    })
}

fn hsieh(bytes: &[u8]) -> u32 {
    let mut h = 0u32;
    let blocks = bytes.chunks_exact(4);
    let tail = blocks.remainder();
    for block in blocks {
        h = h.wrapping_add(half(block, 0));
        h = (h << 16) ^ (half(block, 2) << 11) ^ h;
        h = h.wrapping_add(h >> 11);
    }
    match tail {
        [_, _, last] => {
            h = h.wrapping_add(half(tail, 0));
            h ^= h << 16;
            h ^= signed(*last) << 18;
            h = h.wrapping_add(h >> 11);
        }
        [_, _] => {
            h = h.wrapping_add(half(tail, 0));
            h ^= h << 11;
            h = h.wrapping_add(h >> 17);
        }
        [last] => {
            // The only tail whose byte twemproxy reads as unsigned.
            h = h.wrapping_add(u32::from(*last));
            h ^= h << 10;
            h = h.wrapping_add(h >> 1);
        }
        _ => {}
    }
    h ^= h << 3;
    h = h.wrapping_add(h >> 5);
    h ^= h << 4;
    h = h.wrapping_add(h >> 17);
    h ^= h << 25;
    h.wrapping_add(h >> 6)
}

fn murmur(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let len = bytes.len() as u32;
    let mut h = 0xdead_beef_u32.wrapping_mul(len) ^ len;
    let blocks = bytes.chunks_exact(4);
    let tail = blocks.remainder();
    for block in blocks {
        let mut k = word(block, 0).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        h = (h ^ little_endian(tail)).wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// Up to four bytes as a little-endian number.
fn little_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| (word << 8) | u32::from(byte))
}

fn jenkins(bytes: &[u8]) -> u32 {
    const INITIAL: u32 = 13;
    let start = 0xdead_beef_u32
        .wrapping_add(bytes.len() as u32)
        .wrapping_add(INITIAL);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    while rest.len() > 12 {
        a = a.wrapping_add(word(rest, 0));
        b = b.wrapping_add(word(rest, 4));
        c = c.wrapping_add(word(rest, 8));
        [a, b, c] = jenkins_mix(a, b, c);
        rest = &rest[12..];
    }
    if rest.is_empty() {
        return c;
    }
    // lookup3 reads a short last block as if it were padded with zeros.
    let mut last = [0; 12];
    last[..rest.len()].copy_from_slice(rest);
    jenkins_finish(
        a.wrapping_add(word(&last, 0)),
        b.wrapping_add(word(&last, 4)),
        c.wrapping_add(word(&last, 8)),
    )
}

fn jenkins_mix(mut a: u32, mut b: u32, mut c: u32) -> [u32; 3] {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    [a, b, c]
}

fn jenkins_finish(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(name, apple, café, 0xff)`: one word of ASCII, one with sign-extended bytes, one byte.
    const VALUES: [(&str, u32, u32, u32); 12] = [
        ("one_at_a_time", 2297466611, 3650908318, 2925896852),
        ("md5", 3195025439, 3833532679, 3561969920),
        ("crc16", 3662830516, 4129724007, 7920),
        ("crc32", 10542, 6317, 32512),
        ("crc32a", 2838417488, 2561491637, 4278190080),
        ("fnv1_64", 473199127, 2315714289, 2046707744),
        ("fnv1a_64", 1488911807, 3472276361, 2046707310),
        ("fnv1_32", 67176023, 3598905713, 4210270944),
        ("fnv1a_32", 280767167, 1970454601, 4193493326),
        ("hsieh", 3738850110, 3728705621, 44489640),
        ("murmur", 4142305122, 3658586143, 3679652508),
        ("jenkins", 1442444624, 3412207021, 3784723880),
    ];

    #[test]
    fn every_function_gives_twemproxys_values() {
        for (name, apple, cafe, ff) in VALUES {
            let hash = Hash::from_name(name).unwrap();
            assert_eq!(hash.hash(b"apple"), apple, "{name}(apple)");
            assert_eq!(hash.hash("café".as_bytes()), cafe, "{name}(café)");
            assert_eq!(hash.hash(b"\xff"), ff, "{name}(0xff)");
        }
    }

    #[test]
    fn names_are_those_of_the_configuration_and_case_sensitive() {
        let names: Vec<_> = Hash::ALL.iter().map(|hash| hash.name()).collect();
        assert_eq!(names, VALUES.map(|row| row.0));
        for hash in Hash::ALL {
            assert_eq!(Hash::from_name(hash.name()), Some(hash));
        }
        for name in ["MD5", "fnv1a_64 ", "", "sha1"] {
            assert_eq!(Hash::from_name(name), None, "{name:?}");
        }
        assert_eq!(Hash::default().name(), "fnv1a_64");
    }

    #[test]
    fn a_zero_length_key_is_placed_by_hash_zero() {
        for hash in Hash::ALL {
            assert_eq!(hash.of_key(b""), 0);
            assert_eq!(hash.of_key(b"a"), hash.hash(b"a"));
        }
        assert_eq!(Hash::Jenkins.hash(b""), 0xdead_beef + 13);
        assert_eq!(Hash::Hsieh.hash(b""), 0);
    }
}
