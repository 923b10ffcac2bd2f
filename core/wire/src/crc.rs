//! CRC-32C (Castagnoli), and the masked form in which files store it.

/// What is added to a rotated checksum.
const DELTA: u32 = 0xA282_EAD8;

/// The CRC-32C of `bytes`.
///
/// ```
/// assert_eq!(modulor_wire::crc::crc32c(b"123456789"), 0xE306_9283);
/// ```
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// The CRC-32C of some bytes followed by `bytes`, where `crc` is that of the former. Neither is masked.
///
/// ```
/// use modulor_wire::crc::{append, crc32c};
/// assert_eq!(append(crc32c(b"1234"), b"56789"), crc32c(b"123456789"));
/// ```
pub fn append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// A checksum as it is stored, so that the checksum of bytes that hold checksums is not a special case.
pub fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(DELTA)
}

/// The checksum that was stored as `masked`.
pub fn unmask(masked: u32) -> u32 {
    masked.wrapping_sub(DELTA).rotate_left(15)
}

/// Whether a reader compares checksums. Only a fuzzer has a reason to get past them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    Verify,
    Skip,
}
