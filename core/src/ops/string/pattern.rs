//! Strings by regular expressions, in the syntax of RE2.

use super::{each, one_string, shown, strings};
use crate::op::{Accuracy, Attrs, Backward, Input, Op, OpDef, apply_one, arity, with_rank};
use crate::{DType, Error, Result, Spec, Tensor};
use regex::bytes::{Captures, Regex as OfBytes};
use regex::{Regex as OfText, escape};
use std::fmt;
use std::sync::Arc;

/// A pattern, compiled: for strings that are UTF-8, and for others, of which no byte that is not matches anything.
#[derive(Clone)]
struct Pattern {
    source: String,
    of_text: OfText,
    of_bytes: OfBytes,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl Pattern {
    /// Compiles; `whole` is for one that matches from the beginning of a string to its end.
    fn new(source: &[u8], whole: bool) -> Result<Pattern> {
        let wrong = |why: String| Error::invalid_argument(format!("invalid pattern {}: {why}", shown(source)));
        let source = std::str::from_utf8(source).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let pattern = translated(source).map_err(|why| wrong(why.to_owned()))?;
        let pattern = if whole { format!(r"\A(?:{pattern})\z") } else { pattern };
        // The last line says what is wrong, the lines before point at where.
        let words = |error: regex::Error| wrong(error.to_string().lines().last().unwrap_or_default().to_owned());
        let of_text = OfText::new(&pattern).map_err(words)?;
        let of_bytes = OfBytes::new(&pattern).map_err(words)?;
        Ok(Pattern { source: source.to_owned(), of_text, of_bytes })
    }

    fn is_match(&self, text: &[u8]) -> bool {
        match std::str::from_utf8(text) {
            Ok(text) => self.of_text.is_match(text),
            Err(_) => self.of_bytes.is_match(text),
        }
    }

    /// The text with the rewrite in place of matches: of all of them, or of the first.
    fn replaced(&self, text: &[u8], rewrite: &Rewrite, all: bool) -> Vec<u8> {
        let limit = if all { 0 } else { 1 };
        match std::str::from_utf8(text) {
            Ok(text) => {
                let with = |found: &regex::Captures| {
                    let mut own = String::new();
                    for part in &rewrite.parts {
                        match part {
                            Part::Text(text) => own.push_str(text),
                            Part::Group(group) => own.push_str(found.get(*group).map_or("", |found| found.as_str())),
                        }
                    }
                    own
                };
                self.of_text.replacen(text, limit, with).into_owned().into_bytes()
            }
            Err(_) => {
                let with = |found: &Captures| {
                    let mut own = Vec::new();
                    for part in &rewrite.parts {
                        match part {
                            Part::Text(text) => own.extend_from_slice(text.as_bytes()),
                            Part::Group(group) => {
                                own.extend_from_slice(found.get(*group).map_or(&[], |m| m.as_bytes()))
                            }
                        }
                    }
                    own
                };
                self.of_bytes.replacen(text, limit, with).into_owned()
            }
        }
    }
}

/// The repetition that a text begins with, as `*` or `{2,3}`.
fn repetition(text: &str) -> Option<&str> {
    let length = match text.chars().next()? {
        '*' | '+' | '?' => 1,
        '{' => {
            let (bounds, _) = text[1..].split_once('}')?;
            let is_count = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            let (low, high) = bounds.split_once(',').unwrap_or((bounds, ""));
            if low.is_empty() || !is_count(low) || !is_count(high) {
                return None;
            }
            bounds.len() + 2
        }
        _ => return None,
    };
    Some(&text[..length])
}

/// A pattern of RE2 as one of `regex`, which has more in brackets, repeats repetitions, and whose classes have all of Unicode.
fn translated(source: &str) -> std::result::Result<String, &'static str> {
    let mut out = String::with_capacity(source.len() + 8);
    let mut rest = source;
    let mut in_class = false;
    let mut is_repeated = false;
    while let Some(c) = rest.chars().next() {
        if let Some(found) = repetition(rest).filter(|_| !in_class) {
            if is_repeated {
                return Err("a repetition is not repeated");
            }
            out.push_str(found);
            rest = &rest[found.len()..];
            if let Some(lazy) = rest.strip_prefix('?') {
                out.push('?');
                rest = lazy;
            }
            is_repeated = true;
            continue;
        }
        is_repeated = false;
        let after = &rest[c.len_utf8()..];
        let next = after.chars().next();
        rest = after;
        match (c, next) {
            ('\\', Some(next)) => {
                rest = &after[next.len_utf8()..];
                match next {
                    'd' => out.push_str("[0-9]"),
                    'D' => out.push_str("[^0-9]"),
                    'w' => out.push_str("[0-9A-Za-z_]"),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    's' => out.push_str(r"[\t\n\x0c\r ]"),
                    'S' => out.push_str(r"[^\t\n\x0c\r ]"),
                    'b' if !in_class => out.push_str(r"(?-u:\b)"),
                    'B' if !in_class => out.push_str(r"(?-u:\B)"),
                    'Q' if !in_class => {
                        let (quoted, behind) = rest.split_once(r"\E").unwrap_or((rest, ""));
                        out.push_str(&escape(quoted));
                        rest = behind;
                    }
                    _ => {
                        out.extend(['\\', next]);
                        // The braces of a character's number or a class's name.
                        if let ('x' | 'p' | 'P', Some((name, behind))) = (next, rest.split_once('}'))
                            && name.starts_with('{')
                        {
                            out.push_str(name);
                            out.push('}');
                            rest = behind;
                        }
                    }
                }
            }
            ('[', _) if !in_class => {
                in_class = true;
                out.push('[');
                if let Some(negated) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = negated;
                }
                // A bracket that comes first is itself.
                if let Some(more) = rest.strip_prefix(']') {
                    out.push_str(r"\]");
                    rest = more;
                }
            }
            ('[', Some(':')) if rest.contains(":]") => {
                let (name, behind) = rest.split_once(":]").unwrap_or((rest, ""));
                out.push_str(&format!("[{name}:]"));
                rest = behind;
            }
            (']', _) if in_class => {
                in_class = false;
                out.push(']');
            }
            ('[' | '&' | '~', _) if in_class => out.extend(['\\', c]),
            // One that repeats nothing.
            ('{', _) => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    Ok(out)
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Group(usize),
}

/// What comes in place of a match.
#[derive(Clone, Debug)]
struct Rewrite {
    source: String,
    parts: Vec<Part>,
}

impl Rewrite {
    /// A text in which `\0` to `\9` are what groups of the pattern matched, and `\\` is a backslash.
    fn new(source: &[u8], pattern: &Pattern) -> Result<Rewrite> {
        let wrong = |why: &str| Error::invalid_argument(format!("invalid rewrite {}: {why}", shown(source)));
        let source = std::str::from_utf8(source).map_err(|_| wrong("it is not UTF-8"))?;
        let (mut parts, mut text) = (Vec::new(), String::new());
        let mut chars = source.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('\\') => text.push('\\'),
                Some(digit) if digit.is_ascii_digit() => {
                    let group = digit as usize - '0' as usize;
                    let groups = pattern.of_text.captures_len() - 1;
                    if group > groups {
                        return Err(wrong(&format!("it takes group {group}, and the pattern has {groups}")));
                    }
                    parts.extend([Part::Text(std::mem::take(&mut text)), Part::Group(group)]);
                }
                _ => return Err(wrong(r"behind `\` there must be a digit or another `\`")),
            }
        }
        parts.push(Part::Text(text));
        Ok(Rewrite { source: source.to_owned(), parts })
    }
}

/// Strings with matches replaced, of a pattern that is a tensor.
#[derive(Debug)]
struct RegexReplace {
    replace_global: bool,
}

impl Op for RegexReplace {
    fn name(&self) -> &'static str {
        "RegexReplace"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("replace_global", self.replace_global)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, pattern, rewrite] = arity(inputs)?;
        strings(x.spec, "the input")?;
        for (input, what) in [(pattern, "the pattern"), (rewrite, "the rewrite")] {
            strings(input.spec, what)?;
            with_rank(&input.spec.shape, 0, what)?;
        }
        Ok(vec![x.spec.clone()])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let pattern = Pattern::new(&one_string(inputs[1])?, false)?;
        let rewrite = Rewrite::new(&one_string(inputs[2])?, &pattern)?;
        each(inputs[0], |text| Ok(pattern.replaced(text, &rewrite, self.replace_global)))
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

/// The same of a pattern that is an attribute.
#[derive(Debug)]
struct StaticRegexReplace {
    pattern: Pattern,
    rewrite: Rewrite,
    replace_global: bool,
}

impl StaticRegexReplace {
    fn of(pattern: &str, rewrite: &str, replace_global: bool) -> Result<StaticRegexReplace> {
        let pattern = Pattern::new(pattern.as_bytes(), false)?;
        let rewrite = Rewrite::new(rewrite.as_bytes(), &pattern)?;
        Ok(StaticRegexReplace { pattern, rewrite, replace_global })
    }
}

impl Op for StaticRegexReplace {
    fn name(&self) -> &'static str {
        "StaticRegexReplace"
    }
    fn attrs(&self) -> Attrs {
        let attrs = Attrs::new().with("pattern", self.pattern.source.clone());
        attrs.with("rewrite", self.rewrite.source.clone()).with("replace_global", self.replace_global)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        strings(x.spec, "the input")?;
        Ok(vec![x.spec.clone()])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        each(inputs[0], |text| Ok(self.pattern.replaced(text, &self.rewrite, self.replace_global)))
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// Whether strings match as a whole.
fn matches(x: &Tensor, pattern: &Pattern) -> Result<Vec<Tensor>> {
    let found = x.to_strings()?.iter().map(|text| pattern.is_match(text)).collect::<Vec<_>>();
    Ok(vec![Tensor::new(x.dims()?, found)?])
}

/// Whether strings match a pattern that is a tensor.
#[derive(Debug, Default)]
struct RegexFullMatch;

impl Op for RegexFullMatch {
    fn name(&self) -> &'static str {
        "RegexFullMatch"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, pattern] = arity(inputs)?;
        strings(x.spec, "the input")?;
        strings(pattern.spec, "the pattern")?;
        with_rank(&pattern.spec.shape, 0, "the pattern")?;
        Ok(vec![Spec::new(DType::Bool, &x.spec.shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        matches(inputs[0], &Pattern::new(&one_string(inputs[1])?, true)?)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

/// The same of a pattern that is an attribute.
#[derive(Debug)]
struct StaticRegexFullMatch {
    pattern: Pattern,
}

impl Op for StaticRegexFullMatch {
    fn name(&self) -> &'static str {
        "StaticRegexFullMatch"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("pattern", self.pattern.source.clone())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        strings(x.spec, "the input")?;
        Ok(vec![Spec::new(DType::Bool, &x.spec.shape)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        matches(inputs[0], &self.pattern)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

impl Tensor {
    /// Each string with `rewrite` in place of all that matches a pattern of RE2's syntax; in it `\0` is the match and `\1`
    /// to `\9` what groups matched. TensorFlow's `StaticRegexReplace`.
    ///
    /// An error where the pattern or the rewrite cannot be read, or takes a group that there is not: TensorFlow leaves
    /// strings as they are then, or cuts them.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([1], ["John Smith"])?;
    /// let y = x.regex_replace(r"(\w+) (\w+)", r"\2, \1")?;
    /// assert_eq!(y.to_strings()?[0][..], *b"Smith, John");
    /// # Ok(())
    /// # }
    /// ```
    pub fn regex_replace(&self, pattern: &str, rewrite: &str) -> Result<Tensor> {
        let op = StaticRegexReplace::of(pattern, rewrite, true);
        apply_one(op.map_err(|error| error.in_op("StaticRegexReplace"))?, &[self])
    }

    /// Whether each string matches a pattern of RE2's syntax from its beginning to its end (bool). TensorFlow's
    /// `StaticRegexFullMatch`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([2], ["a1", "a1b"])?;
    /// assert_eq!(x.regex_full_match("[a-z][0-9]")?.to_vec::<bool>()?, [true, false]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn regex_full_match(&self, pattern: &str) -> Result<Tensor> {
        let pattern = Pattern::new(pattern.as_bytes(), true).map_err(|error| error.in_op("StaticRegexFullMatch"))?;
        apply_one(StaticRegexFullMatch { pattern }, &[self])
    }
}

pub(super) const OPS: &[OpDef] = &[
    OpDef {
        name: "RegexReplace",
        parse: |attrs| Ok(Arc::new(RegexReplace { replace_global: attrs.bool("replace_global", true)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "StaticRegexReplace",
        parse: |attrs| {
            let (pattern, rewrite) = (attrs.string("pattern", None)?, attrs.string("rewrite", None)?);
            Ok(Arc::new(StaticRegexReplace::of(&pattern, &rewrite, attrs.bool("replace_global", true)?)?))
        },
        accuracy: Accuracy::Exact,
    },
    OpDef::plain::<RegexFullMatch>("RegexFullMatch", Accuracy::Exact),
    OpDef {
        name: "StaticRegexFullMatch",
        parse: |attrs| {
            let pattern = attrs.string("pattern", None)?;
            Ok(Arc::new(StaticRegexFullMatch { pattern: Pattern::new(pattern.as_bytes(), true)? }))
        },
        accuracy: Accuracy::Exact,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_that_takes_what_is_not_there_is_refused() {
        let x = Tensor::strings([1], ["a"]).unwrap();
        for (rewrite, words) in
            [(r"\3", "it takes group 3, and the pattern has 1"), (r"\q", "a digit"), (r"\", "a digit")]
        {
            let error = x.regex_replace("(a)", rewrite).unwrap_err();
            assert!(error.message().contains(words), "{error}");
            assert_eq!(error.op(), Some("StaticRegexReplace"));
        }
    }

    #[test]
    fn a_byte_that_is_no_utf_8_matches_nothing() {
        let x = Tensor::strings([1], [b"a\xffb\xc3"]).unwrap();
        assert_eq!(x.regex_replace(".", "x").unwrap().to_strings().unwrap()[0][..], *b"x\xffx\xc3");
        assert_eq!(x.regex_replace("[^a]", "x").unwrap().to_strings().unwrap()[0][..], *b"a\xffx\xc3");
        assert_eq!(x.regex_replace("(a)", r"<\1>").unwrap().to_strings().unwrap()[0][..], *b"<a>\xffb\xc3");
    }
}
