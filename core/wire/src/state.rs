//! The `checkpoint` file of a folder, which names its latest checkpoint: a `CheckpointState` as protocol buffers' text.

use std::fmt::Write;
use std::str::FromStr;

use crate::{Error, Result};

/// Which checkpoints a folder has.
///
/// ```
/// use modulor_wire::state::CheckpointState;
/// let state = CheckpointState {
///     model_checkpoint_path: "ckpt-2".to_owned(),
///     all_model_checkpoint_paths: vec!["ckpt-1".to_owned(), "ckpt-2".to_owned()],
///     ..Default::default()
/// };
/// let text = state.print();
/// assert!(text.starts_with("model_checkpoint_path: \"ckpt-2\"\n"));
/// assert_eq!(CheckpointState::parse(&text)?, state);
/// # Ok::<(), modulor_wire::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointState {
    /// The latest: a path without `.index`, relative to the folder or absolute.
    pub model_checkpoint_path: String,
    /// All that are kept, oldest first.
    pub all_model_checkpoint_paths: Vec<String>,
    /// When each was written, in seconds since 1970.
    pub all_model_checkpoint_timestamps: Vec<f64>,
    /// When the last one that is kept for good was written.
    pub last_preserved_timestamp: f64,
}

impl CheckpointState {
    /// Reads the text of a file. Other fields than these are skipped if they are numbers, words or strings.
    ///
    /// # Errors
    /// When it is not such a text; the message names the line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, rest: text };
        let mut state = Self::default();
        let (mut latest, mut preserved) = (false, false);
        parser.space();
        while !parser.rest.is_empty() {
            let field = parser.word()?;
            match field {
                "model_checkpoint_path" => {
                    parser.once(field, &mut latest)?;
                    state.model_checkpoint_path = parser.field(field, Parser::string)?;
                }
                "all_model_checkpoint_paths" => {
                    parser.repeated(field, &mut state.all_model_checkpoint_paths, Parser::string)?;
                }
                "all_model_checkpoint_timestamps" => {
                    parser.repeated(field, &mut state.all_model_checkpoint_timestamps, Parser::number)?;
                }
                "last_preserved_timestamp" => {
                    parser.once(field, &mut preserved)?;
                    state.last_preserved_timestamp = parser.field(field, Parser::number)?;
                }
                _ => parser.repeated(field, &mut Vec::new(), Parser::skip)?,
            }
            if parser.rest.starts_with([',', ';']) {
                parser.advance(1);
            }
        }
        Ok(state)
    }

    /// The text of a file, byte for byte as TensorFlow writes it.
    pub fn print(&self) -> String {
        let mut text = String::new();
        if !self.model_checkpoint_path.is_empty() {
            string(&mut text, "model_checkpoint_path", &self.model_checkpoint_path);
        }
        for path in &self.all_model_checkpoint_paths {
            string(&mut text, "all_model_checkpoint_paths", path);
        }
        for &timestamp in &self.all_model_checkpoint_timestamps {
            number(&mut text, "all_model_checkpoint_timestamps", timestamp);
        }
        // Zero is what is not written, and -0.0 is another number.
        if self.last_preserved_timestamp.to_bits() != 0 {
            number(&mut text, "last_preserved_timestamp", self.last_preserved_timestamp);
        }
        text
    }
}

fn string(out: &mut String, field: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{field}: \"");
    for char in value.chars() {
        let _ = match char {
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            '"' | '\'' | '\\' => write!(out, "\\{char}"),
            '\0'..' ' | '\x7F' => write!(out, "\\{:03o}", u32::from(char)),
            char => write!(out, "{char}"),
        };
    }
    out.push_str("\"\n");
}

/// Numbers look as Python prints them: the fewest digits that give the number back, with an exponent below 1e-4 and from
/// 1e16 on.
fn number(out: &mut String, field: &str, value: f64) {
    let _ = writeln!(out, "{field}: {}", python(value));
}

fn python(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// Reads a text from its front.
struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// An error at the line of what is left.
    fn error(&self, message: impl std::fmt::Display) -> Error {
        let read = self.text.len().saturating_sub(self.rest.len());
        let lines = self.text.bytes().take(read).filter(|&byte| byte == b'\n').count();
        Error::at(read, format!("line {}: {message}", lines.saturating_add(1)))
    }

    /// What is left, for a message.
    fn found(&self) -> String {
        match self.rest.chars().next() {
            Some(char) => format!("found {char:?}"),
            None => "the text ends".to_owned(),
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.skip_bytes(bytes);
        self.space();
    }

    fn skip_bytes(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Skips what is between words: spaces, and comments up to the end of their lines.
    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C']);
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.trim_start_matches(|char| char != '\n');
        }
    }

    fn word(&mut self) -> Result<&'a str> {
        let end = self.rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(self.rest.len());
        match self.rest.split_at_checked(end) {
            Some((word, _)) if word.starts_with(|char: char| !char.is_ascii_digit()) => {
                self.advance(end);
                Ok(word)
            }
            _ => Err(self.error(format!("expected the name of a field, {}", self.found()))),
        }
    }

    fn once(&self, field: &str, seen: &mut bool) -> Result<()> {
        match std::mem::replace(seen, true) {
            true => Err(self.error(format!("`{field}` is there twice"))),
            false => Ok(()),
        }
    }

    fn colon(&mut self, field: &str) -> Result<()> {
        if !self.rest.starts_with(':') {
            return Err(self.error(format!("expected `:` after `{field}`, {}", self.found())));
        }
        self.advance(1);
        Ok(())
    }

    /// `: value`
    fn field<T>(&mut self, field: &str, value: fn(&mut Self, &str) -> Result<T>) -> Result<T> {
        self.colon(field)?;
        value(self, field)
    }

    /// `: value` or `: [value, ..]`
    fn repeated<T>(&mut self, field: &str, values: &mut Vec<T>, value: fn(&mut Self, &str) -> Result<T>) -> Result<()> {
        self.colon(field)?;
        if !self.rest.starts_with('[') {
            values.push(value(self, field)?);
            return Ok(());
        }
        self.advance(1);
        if self.rest.starts_with(']') {
            self.advance(1);
            return Ok(());
        }
        loop {
            values.push(value(self, field)?);
            match self.rest.chars().next() {
                Some(',') => self.advance(1),
                Some(']') => {
                    self.advance(1);
                    return Ok(());
                }
                _ => return Err(self.error(format!("expected `,` or `]` in the list of `{field}`, {}", self.found()))),
            }
        }
    }

    /// The characters of a number or a word.
    fn scalar(&mut self) -> &'a str {
        let part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '+' | '-');
        let end = self.rest.find(|char| !part(char)).unwrap_or(self.rest.len());
        let (scalar, _) = self.rest.split_at_checked(end).unwrap_or_default();
        self.advance(end);
        scalar
    }

    fn number(&mut self, field: &str) -> Result<f64> {
        let mut ahead = Self { ..*self };
        let scalar = ahead.scalar();
        let digits = match scalar.strip_suffix(['f', 'F']) {
            Some(digits) if digits.ends_with(|char: char| char.is_ascii_digit() || char == '.') => digits,
            _ => scalar,
        };
        let Ok(number) = f64::from_str(digits) else {
            return Err(self.error(format!("`{field}` is a number, {}", self.found())));
        };
        *self = ahead;
        Ok(number)
    }

    fn skip(&mut self, field: &str) -> Result<()> {
        if self.rest.starts_with(['"', '\'']) {
            return self.bytes(field).map(drop);
        }
        match self.scalar() {
            "" => {
                Err(self
                    .error(format!("the field `{field}` is unknown, and no number, word or string: {}", self.found())))
            }
            _ => Ok(()),
        }
    }

    fn string(&mut self, field: &str) -> Result<String> {
        let bytes = self.bytes(field)?;
        String::from_utf8(bytes).map_err(|error| self.error(format!("`{field}` is not UTF-8: {}", error.utf8_error())))
    }

    /// Strings in a row, which are one.
    fn bytes(&mut self, field: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if !self.rest.starts_with(['"', '\'']) {
            return Err(self.error(format!("`{field}` is a string, {}", self.found())));
        }
        while let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            let start = Self { ..*self };
            self.skip_bytes(1);
            loop {
                let Some(char) = self.rest.chars().next().filter(|&char| char != '\n') else {
                    return Err(start.error(format!("the string of `{field}` has no closing {quote}")));
                };
                self.skip_bytes(char.len_utf8());
                match char {
                    '\\' => self.escape(&mut bytes)?,
                    char if char == quote => break,
                    char => bytes.extend(char.encode_utf8(&mut [0; 4]).bytes()),
                }
            }
            self.space();
        }
        Ok(bytes)
    }

    /// What stands behind a backslash.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let start = Self { ..*self };
        let kind = self.rest.chars().next().unwrap_or('\n');
        let unknown = || start.error(format!("the escape \\{} is unknown", kind.escape_debug()));
        if let '0'..='7' = kind {
            let byte = self.digits(8, 3).and_then(|value| u8::try_from(value).ok());
            out.push(byte.ok_or_else(unknown)?);
            return Ok(());
        }
        self.skip_bytes(kind.len_utf8());
        match kind {
            'a' => out.push(0x07),
            'b' => out.push(0x08),
            'f' => out.push(0x0C),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(0x0B),
            '\\' => out.push(b'\\'),
            '\'' => out.push(b'\''),
            '"' => out.push(b'"'),
            '?' => out.push(b'?'),
            'x' | 'X' => out.push(self.digits(16, 2).and_then(|value| u8::try_from(value).ok()).ok_or_else(unknown)?),
            'u' | 'U' => {
                let digits = if kind == 'u' { 4 } else { 8 };
                let before = self.rest.len();
                let char = self.digits(16, digits).and_then(char::from_u32);
                let whole = before.saturating_sub(self.rest.len()) == digits;
                let char = char.filter(|_| whole).ok_or_else(unknown)?;
                out.extend(char.encode_utf8(&mut [0; 4]).bytes());
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// A number of up to `most` digits.
    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let count = self.rest.chars().take(most).take_while(|char| char.is_digit(radix)).count();
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        u32::from_str_radix(digits, radix).ok()
    }
}
