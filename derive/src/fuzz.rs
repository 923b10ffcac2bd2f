//! Whatever item parses, the macros answer with items: code, or messages. They never panic.

use proptest::prelude::*;
use syn::DeriveInput;

/// Pieces of attributes: words right and wrong, values of every kind, and what belongs nowhere.
const PIECES: &[&str] = &[
    "name",
    "package",
    "version",
    "migrate",
    "no_new",
    "build",
    "manual",
    "transparent",
    "no_config",
    "crate",
    "bound",
    "rename",
    "alias",
    "flatten",
    "trainable",
    "tagged",
    "default",
    "shape",
    "init",
    "regularizer",
    "constraint",
    "dtype",
    "persistent",
    "weight",
    "autocast",
    "when",
    "with",
    "into",
    "written",
    "skip",
    "config",
    "variable",
    "nmae",
    "r#type",
    "self",
    "Self",
    "=",
    "==",
    ",",
    ",",
    ",",
    "::",
    ":",
    "<",
    ">",
    "#",
    "?",
    "&",
    "..",
    "\"\"",
    "\"a\"",
    "\"a/b\"",
    "\"0\"",
    "\"zeros\"",
    "\"L: Layer\"",
    "\"glorot_unifrom\"",
    "0",
    "1",
    "2",
    "3.5",
    "99999999999999999999",
    "true",
    "false",
    "'a'",
    "b\"x\"",
    "[]",
    "[input[-1], units]",
    "[inputs[0][1] * 2]",
    "[in, ,]",
    "[,]",
    "(",
    "{}",
    "(a, b)",
    "a::b",
    "a::<B, C>::new()",
    "|x| x",
    "if a { b } else { c }",
    "vec![1]",
    "-1",
    "!",
    "é",
];

const TYPES: &[&str] = &[
    "Variable",
    "usize",
    "Dense",
    "T",
    "Self",
    "A",
    "Box<Self>",
    "Self::Item",
    "<Self as I>::Item",
    "Option<T>",
    "Vec<L>",
    "&'a T",
    "&'static str",
    "*const T",
    "fn(T) -> T",
    "Rc<T>",
    "std::cell::RefCell<T>",
    "Rc",
    "[T; N]",
    "[T]",
    "(T, L)",
    "()",
    "!",
    "_",
    "dyn Layer",
    "Box<dyn Layer<T, L>>",
    "impl Layer",
    "m!()",
    "HashMap<String, T>",
    "for<'b> fn(&'b T)",
];

const GENERICS: &[&str] =
    &["", "", "<T>", "<T, L: Layer = Dense>", "<'a, T>", "<const N: usize, T: 'static>", "<T: ?Sized>", "<>"];

const WHERE: &[&str] = &["", "", "where T: Clone", "where", "where Self: Sized, for<'b> &'b T: I"];

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(choices).prop_map(str::to_owned)
}

fn attribute() -> impl Strategy<Value = String> + Clone {
    let name = one_of(&["module", "config", "variable", "skip", "doc", "serde"]);
    let pieces = prop::collection::vec(one_of(PIECES), 0..12).prop_map(|pieces| pieces.join(" "));
    let list = (name.clone(), pieces).prop_map(|(name, pieces)| format!("#[{name}({pieces})]"));
    let value = (name.clone(), one_of(PIECES)).prop_map(|(name, piece)| format!("#[{name} = {piece}]"));
    let bare = name.prop_map(|name| format!("#[{name}]"));
    prop_oneof![6 => list, 1 => value, 2 => bare]
}

fn attributes() -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(attribute(), 0..3).prop_map(|attributes| attributes.join(" "))
}

/// `{ .. }`, `( .. )` or nothing, as the body of a struct or a variant.
fn fields() -> impl Strategy<Value = String> + Clone {
    let name = one_of(&["a", "b", "units", "r#type", "variant", "schema_version", "trainable", "input", "__m"]);
    let named = prop::collection::vec((attributes(), name, one_of(TYPES)), 0..5)
        .prop_map(|fields| fields.iter().map(|(words, name, ty)| format!("{words} {name}: {ty},")).collect::<String>());
    let unnamed = prop::collection::vec((attributes(), one_of(TYPES)), 0..5)
        .prop_map(|fields| fields.iter().map(|(words, ty)| format!("{words} {ty},")).collect::<String>());
    prop_oneof![
        4 => named.prop_map(|fields| format!("{{ {fields} }}")),
        2 => unnamed.prop_map(|fields| format!("( {fields} )")),
        1 => Just(String::new()),
    ]
}

fn item() -> impl Strategy<Value = String> + Clone {
    let head = (attributes(), one_of(GENERICS), one_of(WHERE));
    let structs = (head.clone(), fields()).prop_map(|((words, generics, bounds), fields)| {
        if fields.starts_with('{') {
            format!("{words} pub struct A{generics} {bounds} {fields}")
        } else {
            format!("{words} pub struct A{generics} {fields} {bounds};")
        }
    });
    let variants = prop::collection::vec((attributes(), one_of(&["One", "Two", "r#Self_"]), fields()), 0..4);
    let enums = (head.clone(), variants).prop_map(|((words, generics, bounds), variants)| {
        let variants: String =
            variants.iter().map(|(words, name, fields)| format!("{words} {name} {fields},")).collect();
        format!("{words} enum A{generics} {bounds} {{ {variants} }}")
    });
    let unions = (head, fields()).prop_map(|((words, ..), fields)| format!("{words} union A {fields}"));
    prop_oneof![6 => structs, 3 => enums, 1 => unions]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_item_makes_the_macros_panic(item in item()) {
        if let Ok(input) = syn::parse_str::<DeriveInput>(&item) {
            for output in [crate::module(&input), crate::structure::expand(&input)] {
                let written = output.to_string();
                prop_assert!(syn::parse2::<syn::File>(output).is_ok(), "{item}\n{written}");
            }
        }
    }
}

/// The generator must reach past the parser often enough to mean something.
#[test]
fn most_generated_items_parse() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let parses = |item: &String| syn::parse_str::<DeriveInput>(item).is_ok();
    let items = (0..500).filter_map(|_| Some(item().new_tree(&mut runner).ok()?.current()));
    let parsed = items.filter(parses).count();
    assert!(parsed > 100, "only {parsed} of 500 items parse");
}
