//! The key of a slice: the name of a tensor and a range of each dimension, as bytes that sort like them.
//!
//! ```text
//! key           number(0) text(name) number(dimensions) { signed(start) signed(length) } for each dimension
//! number(x)     the count of x's bytes: u8 | x's bytes, highest first, no leading zeros
//! text(s)       s, with FF behind each 00 and 00 behind each FF | 00 01
//! signed(v)     v in n bytes, highest first, the n highest bits flipped; n is the least with -2^(7n-1) <= v < 2^(7n-1)
//! ```

use crate::cursor::Cursor;
use crate::{Error, Result};

/// The key of the slice of `name` whose range in each dimension is a start and a length.
///
/// ```
/// let key = modulor_wire::slice::encode_key("w", &[(0, 15), (64, 8192)]);
/// assert_eq!(key, b"\x00w\x00\x01\x01\x02\x80\x8F\xC0\x40\xE0\x20\x00");
/// assert_eq!(modulor_wire::slice::decode_key(&key)?, ("w".to_owned(), vec![(0, 15), (64, 8192)]));
/// # Ok::<(), modulor_wire::Error>(())
/// ```
pub fn encode_key(name: &str, extents: &[(i64, i64)]) -> Vec<u8> {
    let mut key = Vec::new();
    put_number(&mut key, 0);
    for byte in name.bytes() {
        match byte {
            0x00 => key.extend([0x00, 0xFF]),
            0xFF => key.extend([0xFF, 0x00]),
            byte => key.push(byte),
        }
    }
    key.extend([0x00, 0x01]);
    put_number(&mut key, extents.len());
    for &(start, length) in extents {
        put_signed(&mut key, start);
        put_signed(&mut key, length);
    }
    key
}

/// The name and the ranges that [`encode_key`] made a key of.
///
/// # Errors
/// When `key` is not what it gives.
pub fn decode_key(key: &[u8]) -> Result<(String, Vec<(i64, i64)>)> {
    let mut cursor = Cursor::new(key);
    let zero = number(&mut cursor, "the kind of the key")?;
    if zero != 0 {
        return Err(Error::at(0, format!("not the key of a slice: it begins with {zero}, not 0")));
    }
    let name = text(&mut cursor)?;
    let rank = number(&mut cursor, "the number of dimensions")?;
    let mut extents = Vec::new();
    for _ in 0..rank {
        extents.push((signed(&mut cursor, "a start")?, signed(&mut cursor, "a length")?));
    }
    if !cursor.is_empty() {
        return Err(Error::at(cursor.at(), format!("{} bytes follow the key of a slice", cursor.rest().len())));
    }
    if encode_key(&name, &extents) != key {
        return Err(Error::new(format!("the key of a slice of {name:?} has a number with more bytes than it takes")));
    }
    Ok((name, extents))
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let bytes = number.to_be_bytes();
    let digits = bytes.iter().skip_while(|&&byte| byte == 0);
    out.extend(u8::try_from(digits.clone().count()));
    out.extend(digits);
}

fn number(cursor: &mut Cursor<'_>, what: &str) -> Result<u64> {
    let at = cursor.at();
    let count = cursor.u8(what)?;
    if count > 8 {
        return Err(Error::at(at, format!("{what} has {count} bytes, more than 8")));
    }
    let bytes = cursor.take(count.into(), what)?;
    Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    const WHAT: &str = "the name of a slice's tensor";
    let start = cursor.at();
    let mut bytes = Vec::new();
    loop {
        let at = cursor.at();
        match cursor.u8(WHAT)? {
            escape @ (0x00 | 0xFF) => match (escape, cursor.u8(WHAT)?) {
                (0x00, 0x01) => break,
                (0x00, 0xFF) => bytes.push(0x00),
                (0xFF, 0x00) => bytes.push(0xFF),
                (_, other) => return Err(Error::at(at, format!("{WHAT}: {other:#04x} after {escape:#04x}"))),
            },
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|error| Error::at(start, format!("{WHAT} is not UTF-8: {}", error.utf8_error())))
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    // The bits that a number takes, its sign included.
    let bits = 65u32.saturating_sub((if value < 0 { !value } else { value }).leading_zeros());
    let count = bits.div_ceil(7);
    let wide = i128::from(value) ^ flipped(count);
    out.extend(wide.to_be_bytes().iter().skip(16usize.saturating_sub(usize::try_from(count).unwrap_or(16))));
}

fn signed(cursor: &mut Cursor<'_>, what: &str) -> Result<i64> {
    let start = *cursor;
    let first = cursor.u8(what)?;
    let leading = |byte: u8, negative| (if negative { !byte } else { byte }).leading_ones();
    let negative = first < 0x80;
    let mut count = leading(first, negative);
    if count == 8 {
        count = leading(cursor.u8(what)?, negative).saturating_add(8);
    }
    *cursor = start;
    let bytes = cursor.take(usize::try_from(count).unwrap_or(16), what)?;
    let sign = if negative { -1i128 } else { 0 };
    let wide = bytes.iter().fold(sign, |wide, &byte| wide.wrapping_shl(8) | i128::from(byte)) ^ flipped(count);
    i64::try_from(wide).map_err(|_| Error::at(start.at(), format!("{what}: a number of {count} bytes")))
}

/// The `count` highest bits of as many bytes.
fn flipped(count: u32) -> i128 {
    let low = 1i128.wrapping_shl(count.saturating_mul(7));
    1i128.wrapping_shl(count.saturating_mul(8)).wrapping_sub(low)
}
