//! The flags of memcached's meta commands: a letter each, some with a token behind it
//! (memcached's protocol.txt, "Meta Commands").

use super::Command;
use super::item::{self, Life, unsigned};

/// Longest opaque token, its letter included.
const OPAQUE_BYTES: usize = 32;

const BAD_TOKEN: &str = "CLIENT_ERROR bad token in command line format";
const BAD_FLAG: &str = "CLIENT_ERROR invalid flag";
const DUPLICATE: &str = "CLIENT_ERROR duplicate flag";
const BAD_FLAGS: &str = "CLIENT_ERROR bad command line format";
const BAD_MODE: &str = "CLIENT_ERROR incorrect length for M token";
const BAD_INITIAL: &str = "CLIENT_ERROR invalid numeric initial value";
const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta value";
const LONG_OPAQUE: &str = "CLIENT_ERROR opaque token too long";
/// What `md` and `ma` say of every fault in their flags.
const INVALID_OR_DUPLICATE: &str = "CLIENT_ERROR invalid or duplicate flag";

/// One flag that tells the store to do something, in the order in which the client has given them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// T: the item is to live so long from now on.
    Live(Life),
    /// N: an absent item is made, to live so long.
    Vivify(Life),
    /// R: who asks wins, if the item lives for fewer seconds.
    Recache(i64),
    /// t: the time that it has left is told.
    Ttl,
}

/// The flags of one meta command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// What to do about times, in order.
    pub steps: Steps,
    /// v: the value is told.
    pub value: bool,
    /// c: the cas is told.
    pub cas: bool,
    /// u: this is no use of the item.
    pub is_unused: bool,
    /// C: only if this is its cas.
    pub compare: Option<u64>,
    /// F: the client's flags.
    pub flags: u32,
    /// I: it becomes stale.
    pub invalidate: bool,
    /// M: what kind of change.
    pub mode: Option<u8>,
    /// J: a number that is made of none.
    pub initial: u64,
    /// D: what is added or taken.
    pub delta: u64,
}

/// At most one of each kind.
pub type Steps = smallvec::SmallVec<[Step; 4]>;

impl Flags {
    /// Reads the flags of a command, which are its words from `first` to before `last`.
    ///
    /// # Errors
    /// memcached's text for what is wrong with them.
    pub fn parse(
        command: &Command<'_>,
        first: usize,
        last: usize,
        now: u64,
    ) -> Result<Flags, &'static str> {
        let mut flags = Flags {
            delta: 1,
            ..Flags::default()
        };
        let (mut seen, mut fault) = (0u128, None);
        for word in command.args(first).take(last.saturating_sub(first)) {
            let Some((&letter, token)) = word.split_first() else {
                continue;
            };
            if letter >= 127 || seen & 1 << letter != 0 {
                return Err(DUPLICATE);
            }
            seen |= 1 << letter;
            match flags.take(letter, token, now) {
                Ok(()) => {}
                Err(BAD_FLAG) => return Err(BAD_FLAG),
                Err(error) => fault = Some(error),
            }
        }
        fault.map_or(Ok(flags), Err)
    }

    /// [`parse`](Flags::parse) for `md` and `ma`, which have one text for all.
    ///
    /// # Errors
    /// That text.
    pub fn parse_tersely(
        command: &Command<'_>,
        first: usize,
        now: u64,
    ) -> Result<Flags, &'static str> {
        match Flags::parse(command, first, command.len(), now) {
            Err(LONG_OPAQUE) => Err(LONG_OPAQUE),
            flags => flags.map_err(|_| INVALID_OR_DUPLICATE),
        }
    }

    fn take(&mut self, letter: u8, token: &[u8], now: u64) -> Result<(), &'static str> {
        let life = || Life::parse(token, now).ok_or(BAD_TOKEN);
        match letter {
            b'b' | b'k' | b'q' | b's' | b'f' | b'l' | b'h' | b'P' | b'L' => {}
            b'O' if token.len() >= OPAQUE_BYTES => return Err(LONG_OPAQUE),
            b'O' => {}
            b'v' => self.value = true,
            b'c' => self.cas = true,
            b't' => self.steps.push(Step::Ttl),
            b'u' => self.is_unused = true,
            b'I' => self.invalidate = true,
            b'T' => self.steps.push(Step::Live(life()?)),
            b'N' => self.steps.push(Step::Vivify(life()?)),
            b'R' => {
                let text = std::str::from_utf8(token).ok();
                let seconds = text.and_then(|text| text.parse().ok());
                self.steps.push(Step::Recache(seconds.ok_or(BAD_TOKEN)?));
            }
            b'C' => self.compare = Some(unsigned(token).ok_or(BAD_TOKEN)?),
            b'F' => self.flags = item::flags(token).ok_or(BAD_FLAGS)?,
            b'M' => match *token {
                [mode] => self.mode = Some(mode),
                _ => return Err(BAD_MODE),
            },
            b'J' => self.initial = unsigned(token).ok_or(BAD_INITIAL)?,
            b'D' => self.delta = unsigned(token).ok_or(BAD_DELTA)?,
            _ => return Err(BAD_FLAG),
        }
        Ok(())
    }

    /// How long the item is to live, if T says so.
    pub fn life(&self) -> Option<Life> {
        self.steps.iter().find_map(|step| match step {
            Step::Live(life) => Some(*life),
            _ => None,
        })
    }

    /// How long an item that is made is to live, if one is to be made.
    pub fn vivify(&self) -> Option<Life> {
        self.steps.iter().find_map(|step| match step {
            Step::Vivify(life) => Some(*life),
            _ => None,
        })
    }
}

/// Whether a flag of `mg` changes the item or makes it.
pub fn changes(flag: &[u8]) -> bool {
    matches!(flag.first(), Some(b'N' | b'T' | b'R'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Id, OwnedCommand};

    fn parse(line: &str) -> Result<Flags, &'static str> {
        let words = ["mg"].into_iter().chain(line.split(' '));
        let command = OwnedCommand::new(Id::ItemMetaGet.spec(), words);
        let command = command.as_command();
        Flags::parse(&command, 1, command.len(), 0)
    }

    #[test]
    fn flags_are_read() {
        let flags = parse("v t T30 c N0 u C7 F5 I MA J3 D4 k Oabc q P1 Lx R9 f s h l b").unwrap();
        let steps = [
            Step::Ttl,
            Step::Live(Life::Until(30_000)),
            Step::Vivify(Life::Endless),
            Step::Recache(9),
        ];
        assert_eq!(flags.steps.as_slice(), steps);
        assert_eq!(
            (flags.compare, flags.flags, flags.mode),
            (Some(7), 5, Some(b'A'))
        );
        assert_eq!((flags.initial, flags.delta), (3, 4));
        assert!(flags.value && flags.cas && flags.is_unused && flags.invalidate);
        assert_eq!(flags.life(), Some(Life::Until(30_000)));
        assert_eq!(flags.vivify(), Some(Life::Endless));
        assert_eq!(parse("k").unwrap().delta, 1);
        assert_eq!(parse("F4294967303").unwrap().flags, 7);
    }

    #[test]
    fn faults_have_memcacheds_texts() {
        for (line, error) in [
            ("v v", DUPLICATE),
            ("T1 T2", DUPLICATE),
            ("\u{7f}", DUPLICATE),
            ("é", DUPLICATE),
            ("x", BAD_FLAG),
            ("Tx Q", BAD_FLAG),
            ("T", BAD_TOKEN),
            ("Nx", BAD_TOKEN),
            ("Rx", BAD_TOKEN),
            ("C-1", BAD_TOKEN),
            ("F-1", BAD_FLAGS),
            ("F18446744073709551616", BAD_FLAGS),
            ("M", BAD_MODE),
            ("Mset", BAD_MODE),
            ("Jx", BAD_INITIAL),
            ("Dx", BAD_DELTA),
            ("Tx Dx", BAD_DELTA),
            ("O12345678901234567890123456789012", LONG_OPAQUE),
        ] {
            assert_eq!(parse(line), Err(error), "{line}");
        }
        assert!(parse("O1234567890123456789012345678901").is_ok());
    }
}
