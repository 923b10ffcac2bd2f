//! TFRecord framing: the records of a data set, the events of a log.
//!
//! ```text
//! length: u64 | masked crc of the length: u32 | data | masked crc of the data: u32
//! ```

use std::io::{self, Write};

use crate::crc::{Checks, crc32c, mask};
use crate::cursor::Cursor;
use crate::{Error, Result};

/// The bytes of a length and its checksum.
const HEADER: usize = 12;

/// Writes records to `W`.
///
/// ```
/// use modulor_wire::record::{Reader, Writer};
/// let mut writer = Writer::new(Vec::new());
/// writer.write(b"one")?;
/// writer.write(b"two")?;
/// let file = writer.into_inner();
/// let records: Result<Vec<&[u8]>, _> = Reader::new(&file).collect();
/// assert_eq!(records.unwrap(), [b"one", b"two"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`, which is best a buffer: a record is four small writes.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Those of `W`; the record may then be there in part.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let length = u64::try_from(data.len()).map_err(io::Error::other)?.to_le_bytes();
        self.inner.write_all(&length)?;
        self.inner.write_all(&mask(crc32c(&length)).to_le_bytes())?;
        self.inner.write_all(data)?;
        self.inner.write_all(&mask(crc32c(data)).to_le_bytes())
    }

    /// Flushes `W`.
    ///
    /// # Errors
    /// Those of `W`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

/// The records of a file, one after the other.
///
/// A file whose writer was stopped ends within a record, or in zeros: the records before are given, then the iteration
/// is over, and [`tail`](Self::tail) says what is left. Damage is an error, which ends the iteration too;
/// [`resync`](Self::resync) takes it up again behind the damage.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    file: &'a [u8],
    at: usize,
    tail: Option<Error>,
    checks: Checks,
    /// Whether damage ended the iteration.
    damaged: bool,
}

impl<'a> Reader<'a> {
    /// The records of `file`.
    pub fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0, tail: None, checks: Checks::Verify, damaged: false }
    }

    /// [`new`](Self::new) without comparing checksums: for fuzzing what lies behind them.
    #[doc(hidden)]
    pub fn unverified(file: &'a [u8]) -> Self {
        Self { checks: Checks::Skip, ..Self::new(file) }
    }

    /// The offset of the record to come: after the last one, the number of bytes that are whole records.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// What is missing of the last record, after the iteration; nothing if it is whole.
    pub fn tail(&self) -> Option<&Error> {
        self.tail.as_ref()
    }

    /// Goes on after an error, from the next bytes that are a record's length and its checksum, and gives the number of
    /// bytes that were skipped. If there are none, that is the rest of the file.
    ///
    /// Bytes made for it, whose records lie within one another, can make going on after each error slow: as the square
    /// of their number.
    pub fn resync(&mut self) -> usize {
        let start = self.at;
        if !self.damaged {
            return 0;
        }
        self.damaged = false;
        let from = start.saturating_add(1);
        let rest = self.file.get(from..).unwrap_or_default();
        let begins = |bytes: &[u8]| bytes.first_chunk().is_some_and(|header| length(header, Checks::Verify).is_ok());
        let found = rest.windows(HEADER).position(begins);
        self.at = found.map_or(self.file.len(), |found| from.saturating_add(found));
        self.at.saturating_sub(start)
    }

    /// The next record, or nothing if the file ends before it does.
    fn record(&mut self) -> Result<Option<&'a [u8]>> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(self.ends(format!("a record's header has {HEADER} bytes, {} are left", rest.len())));
        };
        let size = match length(header, self.checks) {
            Ok(size) => size,
            Err(_) if rest.iter().all(|&byte| byte == 0) => {
                return Ok(self.ends(format!("the last {} bytes are zeros", rest.len())));
            }
            Err(message) => return Err(Error::at(self.at, message)),
        };
        let needed = usize::try_from(size).ok().and_then(|size| size.checked_add(4));
        let Some(needed) = needed.filter(|&needed| needed <= body.len()) else {
            return Ok(self.ends(format!("a record of {size} bytes and its checksum, {} bytes are left", body.len())));
        };
        let mut cursor = Cursor::new(body);
        let data = cursor.take(needed.saturating_sub(4), "a record")?;
        let stored = cursor.u32("a record's checksum")?;
        let computed = mask(crc32c(data));
        if self.checks == Checks::Verify && stored != computed {
            let message = format!("a record of {size} bytes: checksum {computed:#010x}, stored {stored:#010x}");
            return Err(Error::at(self.at, message));
        }
        self.at = self.at.saturating_add(HEADER).saturating_add(needed);
        Ok(Some(data))
    }

    fn ends(&mut self, message: String) -> Option<&'a [u8]> {
        self.tail = Some(Error::at(self.at, message));
        None
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.damaged {
            return None;
        }
        let record = self.record();
        self.damaged = record.is_err();
        record.transpose()
    }
}

/// The length that a header holds.
fn length(header: &[u8; HEADER], checks: Checks) -> Result<u64, String> {
    let [a, b, c, d, e, f, g, h, crc @ ..] = *header;
    let length = [a, b, c, d, e, f, g, h];
    let (stored, computed) = (u32::from_le_bytes(crc), mask(crc32c(&length)));
    if checks == Checks::Verify && stored != computed {
        return Err(format!("the length of a record: checksum {computed:#010x}, stored {stored:#010x}"));
    }
    Ok(u64::from_le_bytes(length))
}
