//! Bytes that are read from the front, and the integers in them.

use crate::{Error, Result};

/// The rest of some bytes, and how many were read before it.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// The offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes; `what` they are stands in the error.
    pub(crate) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Error::at(self.at, format!("{what}: {count} bytes are needed, {} are left", self.rest.len())));
        };
        self.rest = rest;
        self.at = self.at.saturating_add(count);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of seven bits a byte, lowest first, in as few bytes as it takes: no writer uses more, and so a number
    /// has one form.
    pub(crate) fn varint(&mut self, what: &str) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits.wrapping_shl(shift);
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(Error::at(start, format!("{what}: a varint with more bytes than it takes")));
                }
                return Ok(value);
            }
        }
        Err(Error::at(start, format!("{what}: a varint of more than 64 bits")))
    }

    /// A varint that counts bytes of what is left.
    pub(crate) fn length(&mut self, what: &str) -> Result<usize> {
        let start = self.at;
        let length = self.varint(what)?;
        usize::try_from(length)
            .ok()
            .filter(|&length| length <= self.rest.len())
            .ok_or_else(|| Error::at(start, format!("{what} is {length}, {} bytes are left", self.rest.len())))
    }
}

/// Appends `value` as a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7F {
        out.push(0x80 | low(value));
        value >>= 7;
    }
    out.push(low(value));
}

/// The lowest seven bits.
fn low(value: u64) -> u8 {
    let [byte, ..] = value.to_le_bytes();
    byte & 0x7F
}

/// Appends a number of bytes as a varint.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    // No target has lengths of more than 64 bits.
    put_varint(out, u64::try_from(length).unwrap_or(u64::MAX));
}
