//! The words: which there are, where each belongs, what value it takes.

use crate::{fault::Faults, names, nearest};
use proc_macro2::{Span, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprArray, ExprLit, Ident, Lit, LitBool, LitStr, Meta, Path, Token, WherePredicate,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

/// Words of `#[module(..)]` on a type.
const TYPE_WORDS: &[&str] =
    &["name", "package", "version", "migrate", "no_new", "build", "transparent", "no_config", "crate", "bound"];
/// Words of `#[module(..)]` on a field.
const PLACE_WORDS: &[&str] = &["rename", "alias", "flatten", "trainable", "default"];
/// Words of `#[module(..)]` on a variant.
const VARIANT_WORDS: &[&str] = &["rename", "tagged", "default"];
/// Words of `#[variable(..)]`.
const VARIABLE_WORDS: &[&str] =
    &["shape", "init", "regularizer", "constraint", "dtype", "trainable", "persistent", "weight", "autocast", "when"];
/// Words of `#[config(..)]`.
const CONFIG_WORDS: &[&str] = &["default", "with", "into", "written"];
/// Words of `#[skip(..)]`.
const SKIP_WORDS: &[&str] = &["default"];

/// Where a word was found.
#[derive(Clone, Copy)]
enum Place {
    Type,
    Field,
    Variant,
    Variable,
    Config,
    Skip,
}

impl Place {
    fn words(self) -> &'static [&'static str] {
        match self {
            Place::Type => TYPE_WORDS,
            Place::Field => PLACE_WORDS,
            Place::Variant => VARIANT_WORDS,
            Place::Variable => VARIABLE_WORDS,
            Place::Config => CONFIG_WORDS,
            Place::Skip => SKIP_WORDS,
        }
    }

    /// Why a word that is not one of this place's cannot be here: it belongs elsewhere, or there is no such word.
    fn refuse(self, word: &str) -> String {
        let elsewhere = [
            (TYPE_WORDS, "on the struct or enum, in `#[module(..)]`"),
            (PLACE_WORDS, "on a field, in `#[module(..)]`"),
            (VARIANT_WORDS, "on a variant, in `#[module(..)]`"),
            (VARIABLE_WORDS, "in `#[variable(..)]`"),
            (&["config", "variable", "skip"], "on a field by itself, as an attribute"),
            (&["with"], "in `#[config(..)]`"),
        ];
        match elsewhere.iter().find(|(words, _)| words.contains(&word)) {
            Some((_, place)) => format!("`{word}` belongs {place}"),
            None => format!("unknown word `{word}`; {}", nearest::suggestion(word, self.words())),
        }
    }
}

/// One `word` or `word = value`.
struct Word {
    name: Ident,
    value: Option<Expr>,
}

impl Word {
    fn span(&self) -> Span {
        self.name.span()
    }

    /// The value of the kind that `pick` finds; `what` and `example` say which that is.
    fn value<T>(
        &self,
        faults: &mut Faults,
        what: &str,
        example: &str,
        pick: impl FnOnce(&Expr) -> Option<T>,
    ) -> Option<T> {
        let name = &self.name;
        let Some(value) = &self.value else {
            faults.push(self.span(), format!("`{name}` takes {what}, as in `{name} = {example}`"));
            return None;
        };
        let picked = pick(value);
        if picked.is_none() {
            faults.push_at(value, format!("`{name}` takes {what}, as in `{name} = {example}`"));
        }
        picked
    }

    fn string(&self, faults: &mut Faults, example: &str) -> Option<LitStr> {
        self.value(faults, "a string", example, |value| match literal(value)? {
            Lit::Str(string) => Some(string.clone()),
            _ => None,
        })
    }

    fn bool(&self, faults: &mut Faults) -> Option<bool> {
        self.value(faults, "true or false", "false", |value| match literal(value)? {
            Lit::Bool(LitBool { value, .. }) => Some(*value),
            _ => None,
        })
    }

    fn path(&self, faults: &mut Faults, example: &str) -> Option<Path> {
        self.value(faults, "a path", example, |value| match value {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            _ => None,
        })
    }

    fn expr(&self, faults: &mut Faults, example: &str) -> Option<Expr> {
        self.value(faults, "an expression", example, |value| Some(value.clone()))
    }

    /// An expression; a literal string among these must be one of the built-in names of its kind.
    fn named(&self, faults: &mut Faults, kind: &str, known: &[&[&str]], example: &str) -> Option<Expr> {
        let value = self.expr(faults, example)?;
        if let Some(Lit::Str(string)) = literal(&value) {
            let name = string.value();
            // A name of a package is known to the registry alone, at run time.
            if !name.contains('>') && !known.concat().contains(&name.as_str()) {
                let suggested: Vec<&str> = known.iter().filter_map(|names| names.first().copied()).collect();
                let suggestion = nearest::suggestion(&name, &suggested);
                faults.push_at(&value, format!("there is no {kind} `{name}`; {suggestion}"));
            }
        }
        Some(value)
    }

    fn flag(&self, faults: &mut Faults) {
        if let Some(value) = &self.value {
            faults.push_at(value, format!("`{}` takes no value", self.name));
        }
    }
}

/// A literal, in the parentheses or the invisible group that a `macro_rules` fragment comes in.
pub fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        Expr::Paren(paren) => literal(&paren.expr),
        _ => None,
    }
}

/// The words of one attribute that are known in its place; the others become faults.
fn words(attribute: &Attribute, place: Place, faults: &mut Faults) -> Vec<Word> {
    let name = attribute.path().to_token_stream();
    let list = match &attribute.meta {
        Meta::List(list) => list,
        Meta::Path(_) => {
            if !matches!(place, Place::Config | Place::Skip) {
                faults.push_at(attribute.path(), format!("`#[{name}]` says nothing; remove it or add a word"));
            }
            return Vec::new();
        }
        Meta::NameValue(_) => {
            let first = place.words().first().copied().unwrap_or_default();
            let message = format!("the words of `{name}` are in parentheses, as in `#[{name}({first} = ..)]`");
            faults.push_at(attribute.path(), message);
            return Vec::new();
        }
    };
    if list.tokens.is_empty() {
        let remedy = match place {
            Place::Config | Place::Skip => "remove the parentheses or add a word",
            _ => "remove it or add a word",
        };
        faults.push_at(attribute.path(), format!("`#[{name}()]` says nothing; {remedy}"));
        return Vec::new();
    }
    let parse = |input: ParseStream| Ok(parse_words(input, place, faults));
    parse.parse2(list.tokens.clone()).unwrap_or_default()
}

/// Words up to the end of the input. What cannot be parsed is a fault and is passed over up to the next comma.
fn parse_words(input: ParseStream, place: Place, faults: &mut Faults) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    while !input.is_empty() {
        if let Some(word) = parse_word(input, place, faults) {
            words.push(word);
        }
        if !input.is_empty() && !input.peek(Token![,]) {
            faults.push(input.span(), "expected a comma between words");
        }
        pass_over(input);
    }
    words
}

fn parse_word(input: ParseStream, place: Place, faults: &mut Faults) -> Option<Word> {
    let Ok(name) = Ident::parse_any(input) else {
        faults.push(input.span(), format!("expected a word, one of {}", place.words().join(", ")));
        pass_to_comma(input);
        return None;
    };
    let text = name.unraw().to_string();
    let known = place.words().contains(&text.as_str());
    if !known {
        faults.push(name.span(), place.refuse(&text));
        pass_to_comma(input);
        return None;
    }
    if !input.peek(Token![=]) || input.peek(Token![==]) {
        return Some(Word { name, value: None });
    }
    let _: Option<Token![=]> = input.parse().ok();
    let start = input.span();
    match input.parse::<Expr>() {
        Ok(value) => Some(Word { name, value: Some(value) }),
        Err(_) if text == "shape" => {
            faults.push(start, SHAPE_LOOKS_LIKE);
            pass_to_comma(input);
            None
        }
        Err(error) => {
            faults.push(error.span(), format!("`{text}` needs a value after `=`: {error}"));
            pass_to_comma(input);
            None
        }
    }
}

const SHAPE_LOOKS_LIKE: &str =
    "a shape is a list of dimensions: settings by name, axes of the input, numbers, as in `shape = [input[-1], units]`";

fn pass_to_comma(input: ParseStream) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// Passes over the rest of one word and the comma behind it.
fn pass_over(input: ParseStream) {
    pass_to_comma(input);
    let _: Option<Token![,]> = input.parse().ok();
}

/// Keeps the first value that a word is given, and marks the others.
fn once<T>(slot: &mut Option<T>, word: &Word, value: Option<T>, faults: &mut Faults) {
    if slot.is_some() {
        faults.push(word.span(), format!("`{}` is given twice", word.name));
    } else {
        *slot = value;
    }
}

/// As [`once`], for a word that takes no value.
fn flag(slot: &mut Option<Span>, word: &Word, faults: &mut Faults) {
    word.flag(faults);
    once(slot, word, Some(word.span()), faults);
}

/// What `#[module(..)]` says on a type.
#[derive(Default)]
pub struct TypeWords {
    pub name: Option<LitStr>,
    pub package: Option<LitStr>,
    pub version: Option<(u32, Span)>,
    pub migrate: Option<Path>,
    pub no_new: Option<Span>,
    pub manual_build: Option<Span>,
    pub transparent: Option<Span>,
    pub no_config: Option<Span>,
    pub krate: Option<Path>,
    pub bound: Option<Vec<WherePredicate>>,
}

impl TypeWords {
    pub fn parse(attributes: &[Attribute], faults: &mut Faults) -> TypeWords {
        let mut found = TypeWords::default();
        for attribute in attributes {
            let path = attribute.path();
            if path.is_ident("skip") {
                faults
                    .push_at(path, "`skip` belongs on a field; for a type without config write `#[module(no_config)]`");
            } else if path.is_ident("config") || path.is_ident("variable") {
                faults.push_at(path, format!("`{}` belongs on a field", path.to_token_stream()));
            } else if path.is_ident("module") {
                for word in words(attribute, Place::Type, faults) {
                    found.take(&word, faults);
                }
            }
        }
        found
    }

    fn take(&mut self, word: &Word, faults: &mut Faults) {
        match word.name.unraw().to_string().as_str() {
            "name" => once(&mut self.name, word, word.string(faults, "\"encoder\""), faults),
            "package" => once(&mut self.package, word, word.string(faults, "\"my_models\""), faults),
            "version" => {
                let version = word.value(faults, "a number from 1", "2", |value| match literal(value)? {
                    Lit::Int(number) => number.base10_parse().ok().filter(|version| *version > 0),
                    _ => None,
                });
                once(&mut self.version, word, version.map(|version| (version, word.span())), faults);
            }
            "migrate" => once(&mut self.migrate, word, word.path(faults, "migrate_config"), faults),
            "no_new" => flag(&mut self.no_new, word, faults),
            "build" => {
                let manual = word.value(faults, "the word `manual`", "manual", |value| match value {
                    Expr::Path(path) if path.path.is_ident("manual") => Some(word.span()),
                    _ => None,
                });
                once(&mut self.manual_build, word, manual, faults);
            }
            "transparent" => flag(&mut self.transparent, word, faults),
            "no_config" => flag(&mut self.no_config, word, faults),
            "crate" => once(&mut self.krate, word, word.path(faults, "::my_facade::modulor"), faults),
            "bound" => {
                let bound = word.string(faults, "\"L: Layer\"").and_then(|bound| predicates(&bound, faults));
                once(&mut self.bound, word, bound, faults);
            }
            _ => {}
        }
    }
}

fn predicates(bound: &LitStr, faults: &mut Faults) -> Option<Vec<WherePredicate>> {
    match bound.parse_with(Punctuated::<WherePredicate, Token![,]>::parse_terminated) {
        Ok(predicates) => Some(predicates.into_iter().collect()),
        Err(error) => {
            faults.push_at(bound, format!("`bound` takes where clauses, as in `bound = \"L: Layer\"`: {error}"));
            None
        }
    }
}

/// What `#[module(..)]` says on a field: its place in paths.
#[derive(Default)]
pub struct PlaceWords {
    pub rename: Option<LitStr>,
    pub alias: Option<LitStr>,
    pub flatten: Option<Span>,
    pub trainable: Option<(bool, Span)>,
    /// What `new` puts there; with the word's place.
    pub default: Option<(SettingDefault, Span)>,
    /// The attribute itself.
    pub span: Option<Span>,
}

/// What `#[variable(..)]` says.
#[derive(Default)]
pub struct VariableWords {
    pub shape: Option<ExprArray>,
    pub init: Option<Expr>,
    pub regularizer: Option<(Expr, Span)>,
    pub constraint: Option<Expr>,
    pub dtype: Option<Expr>,
    pub trainable: Option<Expr>,
    pub persistent: Option<bool>,
    pub weight: Option<(bool, Span)>,
    pub autocast: Option<bool>,
    pub when: Option<Expr>,
    /// Whether some word could not be read, so that what seems to be missing may be there.
    pub is_partial: bool,
}

impl VariableWords {
    /// Whether the variable is not trained, whatever the settings are.
    pub fn is_state(&self) -> bool {
        matches!(self.trainable.as_ref().and_then(literal), Some(Lit::Bool(LitBool { value: false, .. })))
    }
}

/// What a field is, by its words.
pub enum Role {
    /// No word: a variable, a module or a container of them.
    Part,
    /// `#[config]`
    Setting { default: Option<SettingDefault>, with: Option<Path>, into: bool, written: Option<Box<Expr>> },
    /// `#[variable(..)]`
    Variable(Box<VariableWords>),
    /// `#[skip]`
    Skip { default: Option<Expr> },
}

/// `default`, or `default = ..`
pub enum SettingDefault {
    Trait,
    Expr(Expr),
}

/// The words of a field: what it is, and its place in paths.
pub fn field(attributes: &[Attribute], faults: &mut Faults) -> (Role, PlaceWords) {
    let mut role: Option<(Role, &'static str)> = None;
    let mut place = PlaceWords::default();
    for attribute in attributes {
        let path = attribute.path();
        let (found, name) = if path.is_ident("config") {
            (setting(attribute, faults), "config")
        } else if path.is_ident("variable") {
            (variable(attribute, faults), "variable")
        } else if path.is_ident("skip") {
            (skip(attribute, faults), "skip")
        } else {
            if path.is_ident("module") {
                place.span.get_or_insert(syn::spanned::Spanned::span(path));
                for word in words(attribute, Place::Field, faults) {
                    place.take(&word, faults);
                }
            }
            continue;
        };
        match &role {
            None => role = Some((found, name)),
            Some((_, first)) if *first == name => faults.push_at(path, format!("`{name}` is given twice")),
            Some((_, first)) => {
                faults.push_at(path, format!("a field is `#[{first}]` or `#[{name}]`, not both; remove one"));
            }
        }
    }
    (role.map_or(Role::Part, |(role, _)| role), place)
}

impl PlaceWords {
    fn take(&mut self, word: &Word, faults: &mut Faults) {
        match word.name.to_string().as_str() {
            "rename" => once(&mut self.rename, word, word.string(faults, "\"kernel\""), faults),
            "alias" => once(&mut self.alias, word, word.string(faults, "\"kernel\""), faults),
            "flatten" => flag(&mut self.flatten, word, faults),
            "trainable" => {
                let trainable = word.bool(faults).map(|trainable| (trainable, word.span()));
                once(&mut self.trainable, word, trainable, faults);
            }
            "default" => {
                let value = word.value.clone().map_or(SettingDefault::Trait, SettingDefault::Expr);
                once(&mut self.default, word, Some((value, word.span())), faults);
            }
            _ => {}
        }
    }
}

fn setting(attribute: &Attribute, faults: &mut Faults) -> Role {
    let (mut default, mut with, mut into, mut written) = (None, None, None, None);
    for word in words(attribute, Place::Config, faults) {
        match word.name.to_string().as_str() {
            "default" => {
                let value = word.value.clone().map_or(SettingDefault::Trait, SettingDefault::Expr);
                once(&mut default, &word, Some(value), faults);
            }
            "with" => once(&mut with, &word, word.path(faults, "my_format"), faults),
            "into" => flag(&mut into, &word, faults),
            "written" => once(&mut written, &word, word.expr(faults, "width.or(Some(units))"), faults),
            _ => {}
        }
    }
    Role::Setting { default, with, into: into.is_some(), written: written.map(Box::new) }
}

fn skip(attribute: &Attribute, faults: &mut Faults) -> Role {
    let mut default = None;
    for word in words(attribute, Place::Skip, faults) {
        once(&mut default, &word, word.expr(faults, "Cache::new()"), faults);
    }
    Role::Skip { default }
}

fn variable(attribute: &Attribute, faults: &mut Faults) -> Role {
    let mut found = VariableWords::default();
    let before = faults.len();
    for word in words(attribute, Place::Variable, faults) {
        match word.name.to_string().as_str() {
            "shape" => {
                let shape = match &word.value {
                    Some(Expr::Array(shape)) => Some(shape.clone()),
                    value => {
                        faults.push_at(
                            value.as_ref().map_or(word.name.to_token_stream(), Expr::to_token_stream),
                            SHAPE_LOOKS_LIKE,
                        );
                        None
                    }
                };
                once(&mut found.shape, &word, shape, faults);
            }
            "init" => {
                let init = word.named(faults, "initializer", names::INITIALIZERS, "\"glorot_uniform\"");
                once(&mut found.init, &word, init, faults);
            }
            "regularizer" => {
                let regularizer = word.named(faults, "regularizer", names::REGULARIZERS, "\"l2\"");
                once(&mut found.regularizer, &word, regularizer.map(|value| (value, word.span())), faults);
            }
            "constraint" => {
                let constraint = word.named(faults, "constraint", names::CONSTRAINTS, "\"non_neg\"");
                once(&mut found.constraint, &word, constraint, faults);
            }
            "dtype" => {
                let dtype = word.named(faults, "dtype", names::DTYPES, "\"float32\"");
                once(&mut found.dtype, &word, dtype, faults);
            }
            "trainable" => {
                // Settings may say it, as they say `when`.
                let trainable = word.value(faults, "true or false", "false", |value| match literal(value) {
                    None | Some(Lit::Bool(_)) => Some(value.clone()),
                    Some(_) => None,
                });
                once(&mut found.trainable, &word, trainable, faults);
            }
            "autocast" => once(&mut found.autocast, &word, word.bool(faults), faults),
            "persistent" => once(&mut found.persistent, &word, word.bool(faults), faults),
            "weight" => {
                let weight = word.bool(faults).map(|weight| (weight, word.span()));
                once(&mut found.weight, &word, weight, faults);
            }
            "when" => once(&mut found.when, &word, word.expr(faults, "use_bias"), faults),
            _ => {}
        }
    }
    found.is_partial = faults.len() > before;
    Role::Variable(Box::new(found))
}

/// What `#[module(..)]` says on a variant.
#[derive(Default)]
pub struct VariantWords {
    pub rename: Option<LitStr>,
    pub tagged: Option<Span>,
    pub default: Option<Span>,
}

impl VariantWords {
    pub fn parse(attributes: &[Attribute], faults: &mut Faults) -> VariantWords {
        let mut found = VariantWords::default();
        for attribute in attributes {
            let path = attribute.path();
            if ["config", "variable", "skip"].iter().any(|word| path.is_ident(word)) {
                faults.push_at(path, format!("`{}` belongs on a field", path.to_token_stream()));
            }
            if path.is_ident("module") {
                for word in words(attribute, Place::Variant, faults) {
                    match word.name.to_string().as_str() {
                        "rename" => once(&mut found.rename, &word, word.string(faults, "\"linear\""), faults),
                        "tagged" => flag(&mut found.tagged, &word, faults),
                        "default" => flag(&mut found.default, &word, faults),
                        _ => {}
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Place;
    use std::path::Path;

    #[test]
    fn every_word_has_a_passing_case() {
        let places = [
            ("type", Place::Type),
            ("field", Place::Field),
            ("variant", Place::Variant),
            ("variable", Place::Variable),
            ("config", Place::Config),
            ("skip", Place::Skip),
        ];
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/ui/pass");
        for (name, place) in places {
            for word in place.words() {
                let case = cases.join(format!("{name}_{word}.rs"));
                assert!(case.is_file(), "the word `{word}` has no {}", case.display());
            }
        }
    }
}
