//! Classes of modules by their registered names, so that a config can say which type it is of.
//!
//! `#[derive(Module)]` submits every type without parameters; a generic one is registered for the types wanted, by
//! [`register!`](crate::register).

use crate::{Error, Result, nearest};
use serde_json::Value;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::OnceLock,
};

/// Makes something of one class out of its serialized object, as a `Box` of the trait object that is wanted.
pub type Make = fn(&Value) -> Result<Box<dyn Any>>;

/// One registered class.
pub struct Entry {
    /// The first half of the registered name.
    pub package: &'static str,
    /// The second half: the type, with its parameters.
    pub class: &'static str,
    /// Where the type was registered, for messages.
    pub source: &'static str,
    /// The type itself.
    pub type_id: fn() -> TypeId,
    /// Makes a `Box<dyn Module>`.
    pub module: Make,
    /// Makes a `Box<dyn Layer<In, Out>>`, if the type is a layer.
    pub layer: fn() -> Option<Make>,
}

inventory::collect!(Entry);

/// Another name of a registered class, which configs may give it and none is written with.
pub struct Alias {
    /// The first half of both registered names.
    pub package: &'static str,
    /// The class.
    pub class: &'static str,
    /// Its other name.
    pub other: &'static str,
}

inventory::collect!(Alias);

struct Index {
    by_name: HashMap<String, Vec<&'static Entry>>,
    by_type: HashMap<TypeId, &'static Entry>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index { by_name: HashMap::new(), by_type: HashMap::new() };
        for entry in inventory::iter::<Entry> {
            index.by_name.entry(format!("{}>{}", entry.package, entry.class)).or_default().push(entry);
            index.by_type.insert((entry.type_id)(), entry);
        }
        for Alias { package, class, other } in inventory::iter::<Alias> {
            if let Some(entries) = index.by_name.get(&format!("{package}>{class}")).cloned() {
                index.by_name.entry(format!("{package}>{other}")).or_default().extend(entries);
            }
        }
        index
    })
}

/// Every registered name, sorted; other names are among them.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = index().by_name.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The class under which a type is registered.
pub fn name_of(class: TypeId) -> Option<&'static str> {
    index().by_type.get(&class).map(|entry| entry.class)
}

/// The class that a serialized object is of: by `registered_name`, or for Keras's own by `module` and `class_name`.
///
/// Fails where there is none, with the nearest name, and where there are two, with both.
pub fn find(object: &Value) -> Result<&'static Entry> {
    let text = |key: &str| object[key].as_str();
    let name = match (text("registered_name"), text("module"), text("class_name")) {
        (Some(registered), _, _) if registered.contains('>') => registered.to_owned(),
        (_, Some(package), Some(class)) => format!("{package}>{class}"),
        _ => {
            let message =
                format!("expected a serialized module, an object with `class_name` and `config`; found {object}");
            return Err(Error::invalid_argument(message));
        }
    };
    match index().by_name.get(&name).map(Vec::as_slice) {
        Some([entry]) => Ok(entry),
        None | Some([]) => Err(unknown(&name)),
        Some([first, second, ..]) => Err(Error::already_exists(format!(
            "two classes are registered as `{name}`: {} and {}; give one of them `#[module(package = \"..\")]`",
            first.source, second.source
        ))),
    }
}

fn unknown(name: &str) -> Error {
    let class = name.rsplit_once('>').map_or(name, |(_, class)| class);
    let class = if name.ends_with('>') { name.split_once('>').map_or(name, |(_, class)| class) } else { class };
    let types = if class.contains('<') { class.to_owned() } else { format!("{class}<..>") };
    Error::not_found(format!("no class is registered as `{name}`; {}", nearest::suggestion(name, names())))
        .note("a type registers itself where `#[derive(Module)]` is on it and its crate is linked into the program")
        .note(format!("a generic type is registered for each choice of its types: `modulor::register!({types});`"))
}
