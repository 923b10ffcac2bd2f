//! The elements of a string tensor in a data file.
//!
//! ```text
//! length: varint, for each element | masked crc of the lengths: u32 | the elements' bytes
//! ```
//!
//! The lengths' checksum is taken over each length as a u32, or a u64 if it has more bits, and not over the varints. The
//! tensor's checksum goes on from there, over the four bytes and the elements.

use crate::crc::{Checks, append, crc32c, mask, unmask};
use crate::cursor::{Cursor, put_length};
use crate::{Error, Result};

/// The bytes of a tensor with these elements, and its masked checksum.
///
/// ```
/// let (bytes, crc) = modulor_wire::strings::encode(&["it", "is"]);
/// assert_eq!(modulor_wire::strings::decode(&bytes, 2, crc)?, [b"it", b"is"]);
/// # Ok::<(), modulor_wire::Error>(())
/// ```
pub fn encode(elements: &[impl AsRef<[u8]>]) -> (Vec<u8>, u32) {
    let mut bytes = Vec::new();
    let mut lengths = crc32c(&[]);
    for element in elements {
        let length = element.as_ref().len();
        put_length(&mut bytes, length);
        lengths = append_length(lengths, length);
    }
    let stored = mask(lengths).to_le_bytes();
    bytes.extend_from_slice(&stored);
    let mut crc = append(lengths, &stored);
    for element in elements {
        bytes.extend_from_slice(element.as_ref());
        crc = append(crc, element.as_ref());
    }
    (bytes, mask(crc))
}

/// The `count` elements that `bytes` hold, where `crc` is the masked checksum that the tensor's entry has.
///
/// # Errors
/// When there are not as many, when bytes are missing or left over, and when a checksum differs.
pub fn decode(bytes: &[u8], count: usize, crc: u32) -> Result<Vec<&[u8]>> {
    elements(bytes, count, crc, Checks::Verify)
}

/// [`decode`] without comparing checksums: for fuzzing what lies behind them.
#[doc(hidden)]
pub fn decode_unverified(bytes: &[u8], count: usize) -> Result<Vec<&[u8]>> {
    elements(bytes, count, 0, Checks::Skip)
}

fn elements(bytes: &[u8], count: usize, stored: u32, checks: Checks) -> Result<Vec<&[u8]>> {
    // Each has a byte of length at least.
    if bytes.len().checked_sub(4).is_none_or(|most| most < count) {
        return Err(Error::new(format!("{} bytes cannot hold {count} strings", bytes.len())));
    }
    let mut cursor = Cursor::new(bytes);
    let mut lengths = Vec::with_capacity(count);
    let mut sum = 0usize;
    let mut crc = crc32c(&[]);
    for element in 0..count {
        let at = cursor.at();
        let length = cursor.varint("its length").map_err(|error| {
            Error::at(error.offset().unwrap_or(at), format!("string {element} of {count}: {}", error.message()))
        })?;
        let left = cursor.rest().len();
        let total = usize::try_from(length).ok().and_then(|length| sum.checked_add(length));
        let Some(total) = total.filter(|&total| total <= left) else {
            let message =
                format!("string {element} of {count} has {length} bytes and those before it {sum}, {left} are left");
            return Err(Error::at(at, message));
        };
        lengths.push(total.saturating_sub(sum));
        crc = append_length(crc, total.saturating_sub(sum));
        sum = total;
    }
    let at = cursor.at();
    let checksum = cursor.take(4, "the checksum of the lengths")?;
    let found = Cursor::new(checksum).u32("the checksum of the lengths")?;
    if checks == Checks::Verify && unmask(found) != crc {
        let message = format!("the lengths of {count} strings: checksum {:#010x}, stored {found:#010x}", mask(crc));
        return Err(Error::at(at, message));
    }
    if cursor.rest().len() != sum {
        let message = format!("{count} strings have {sum} bytes together, {} are left", cursor.rest().len());
        return Err(Error::at(cursor.at(), message));
    }
    crc = append(append(crc, checksum), cursor.rest());
    if checks == Checks::Verify && unmask(stored) != crc {
        let message = format!("{count} strings: checksum {:#010x}, stored {stored:#010x}", mask(crc));
        return Err(Error::new(message));
    }
    lengths.into_iter().map(|length| cursor.take(length, "a string")).collect()
}

fn append_length(crc: u32, length: usize) -> u32 {
    match u32::try_from(length) {
        Ok(length) => append(crc, &length.to_le_bytes()),
        Err(_) => append(crc, &length.to_le_bytes()),
    }
}
