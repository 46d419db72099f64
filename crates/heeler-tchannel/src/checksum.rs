//! Checksums of a call's args: seeded across the args and across fragments, so that the value in a
//! frame is the checksum of all arg bytes up to its end.

use crate::frame::Fault;

/// The kind of checksum in a call's frames. A response uses its request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChecksumType {
    /// No checksum, and no bytes for one.
    None,
    /// CRC-32 (IEEE, as in zlib). tchannel-go's default.
    Crc32,
    /// Taken, and not checked: implementations do not agree on its value. It is never sent; a
    /// response to a request that has it uses [`ChecksumType::Crc32C`].
    Farmhash,
    /// CRC-32C (Castagnoli). The default of tchannel-node and of Python's tchannel.
    #[default]
    Crc32C,
}

impl ChecksumType {
    /// The kind that `byte` stands for on the wire.
    pub fn from_wire(byte: u8) -> Result<Self, Fault> {
        Ok(match byte {
            0 => ChecksumType::None,
            1 => ChecksumType::Crc32,
            2 => ChecksumType::Farmhash,
            3 => ChecksumType::Crc32C,
            _ => return Err(Fault::ChecksumType(byte)),
        })
    }

    /// Its byte on the wire.
    pub fn to_wire(self) -> u8 {
        self as u8
    }

    /// What we send where the peer uses `self`.
    pub fn sent(self) -> Self {
        match self {
            ChecksumType::Farmhash => ChecksumType::Crc32C,
            kind => kind,
        }
    }

    /// The checksum of the bytes so far, of which `prior` is the checksum, and `bytes`.
    ///
    /// 0 for [`ChecksumType::None`] and [`ChecksumType::Farmhash`].
    pub fn update(self, prior: u32, bytes: &[u8]) -> u32 {
        match self {
            ChecksumType::None | ChecksumType::Farmhash => 0,
            ChecksumType::Crc32 => {
                let mut hasher = crc32fast::Hasher::new_with_initial(prior);
                hasher.update(bytes);
                hasher.finalize()
            }
            ChecksumType::Crc32C => crc32c::crc32c_append(prior, bytes),
        }
    }
}

/// A checksum as it stands in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Its kind.
    pub kind: ChecksumType,
    /// Its value; 0 if the kind is [`ChecksumType::None`].
    pub value: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_values() {
        assert_eq!(ChecksumType::Crc32.update(0, b"123456789"), 0xCBF4_3926);
        assert_eq!(ChecksumType::Crc32C.update(0, b"123456789"), 0xE306_9283);
        assert_eq!(ChecksumType::None.update(0, b"123456789"), 0);
    }

    #[test]
    fn the_running_value_is_that_of_the_whole() {
        for kind in [ChecksumType::Crc32, ChecksumType::Crc32C] {
            let parts = kind.update(kind.update(kind.update(0, b"123"), b""), b"456789");
            assert_eq!(parts, kind.update(0, b"123456789"));
        }
    }

    #[test]
    fn kinds_on_the_wire() {
        for byte in 0..4 {
            assert_eq!(ChecksumType::from_wire(byte).unwrap().to_wire(), byte);
        }
        assert_eq!(ChecksumType::from_wire(4), Err(Fault::ChecksumType(4)));
    }
}
