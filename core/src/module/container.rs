//! Containers of variables and modules: what they hold is at `name/0`, `name/key`.

use super::{Config, Grow, Held, InputShapes, Module, SlotOf, Track, Visitor, config};
use crate::{DTypePolicy, Error, Result, Variable};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard},
};

impl<T: Track> Track for Option<T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        if let Some(part) = self {
            part.track(name, visitor);
        }
    }

    fn share(&self) -> Self {
        self.as_ref().map(T::share)
    }

    fn field_config(&self) -> Result<Option<Value>> {
        self.as_ref().map_or(Ok(Some(Value::Null)), T::field_config)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            None | Some(Value::Null) => Ok(None),
            some => T::from_field(some).map(Some),
        }
    }
}

impl<T: Track> Track for Vec<T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        track_entries(self, name, visitor);
    }

    fn share(&self) -> Self {
        self.iter().map(T::share).collect()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        entries_config(self)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let entries = list(config)?.iter().enumerate();
        entries.map(|(index, entry)| T::from_field(Some(entry)).map_err(at(index))).collect()
    }
}

impl<T: Track, const N: usize> Track for [T; N] {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        track_entries(self, name, visitor);
    }

    fn share(&self) -> Self {
        self.each_ref().map(T::share)
    }

    fn field_config(&self) -> Result<Option<Value>> {
        entries_config(self)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let entries = Vec::<T>::from_field(config)?;
        let found = entries.len();
        entries.try_into().map_err(|_| Error::invalid_argument(format!("expected a list of {N}, found one of {found}")))
    }
}

fn track_entries<T: Track>(entries: &[T], name: &str, visitor: &mut dyn Visitor) {
    for (index, entry) in entries.iter().enumerate() {
        entry.track(&format!("{name}/{index}"), visitor);
    }
}

fn entries_config<T: Track>(entries: &[T]) -> Result<Option<Value>> {
    let configs = entries.iter().enumerate().map(|(index, entry)| {
        let config = entry.field_config().map_err(at(index))?;
        Ok(config.unwrap_or(Value::Null))
    });
    Ok(Some(Value::Array(configs.collect::<Result<_>>()?)))
}

fn list(config: Option<&Value>) -> Result<&Vec<Value>> {
    match config {
        Some(Value::Array(entries)) => Ok(entries),
        _ => Err(Error::invalid_argument("expected a list")),
    }
}

fn at(entry: impl Display) -> impl FnOnce(Error) -> Error {
    move |error| error.within(entry.to_string())
}

macro_rules! tuples {
    ($($count:literal: $($part:ident $index:tt),+;)*) => { $(
        #[diagnostic::do_not_recommend]
        impl<$($part: Track),+> Track for ($($part,)+) {
            fn track(&self, name: &str, visitor: &mut dyn Visitor) {
                $(self.$index.track(&format!("{name}/{}", $index), visitor);)+
            }

            fn share(&self) -> Self {
                ($(self.$index.share(),)+)
            }

            fn field_config(&self) -> Result<Option<Value>> {
                let parts = vec![$(self.$index.field_config().map_err(at($index))?.unwrap_or(Value::Null)),+];
                Ok(Some(Value::Array(parts)))
            }

            fn from_field(config: Option<&Value>) -> Result<Self> {
                let parts = list(config)?;
                if parts.len() != $count {
                    let message = format!("expected a list of {}, found one of {}", $count, parts.len());
                    return Err(Error::invalid_argument(message));
                }
                Ok(($($part::from_field(parts.get($index)).map_err(at($index))?,)+))
            }
        }
    )* };
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
}

/// A key of a map of modules, which becomes a part of paths.
#[diagnostic::on_unimplemented(
    message = "a map of modules cannot have keys of type `{Self}`",
    label = "keys become parts of checkpoint paths: use String"
)]
pub trait PathKey: Ord + Clone + Send + Sync + 'static {
    /// The key as a string.
    fn as_key(&self) -> &str;

    /// The key out of a string.
    fn from_key(key: &str) -> Self;
}

impl PathKey for String {
    fn as_key(&self) -> &str {
        self
    }

    fn from_key(key: &str) -> Self {
        key.to_owned()
    }
}

/// A key as a part of a path: TensorFlow's escapes for the characters that mean something in checkpoint keys.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('.', "..").replace('/', ".S")
}

fn map(config: Option<&Value>) -> Result<&Map<String, Value>> {
    match config {
        Some(Value::Object(entries)) => Ok(entries),
        _ => Err(Error::invalid_argument("expected a map")),
    }
}

impl<K: PathKey, T: Track> Track for BTreeMap<K, T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        for (key, entry) in self {
            entry.track(&format!("{name}/{}", escaped(key.as_key())), visitor);
        }
    }

    fn share(&self) -> Self {
        self.iter().map(|(key, entry)| (key.clone(), entry.share())).collect()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        let entries = self.iter().map(|(key, entry)| {
            let config = entry.field_config().map_err(at(key.as_key()))?;
            Ok((key.as_key().to_owned(), config.unwrap_or(Value::Null)))
        });
        Ok(Some(Value::Object(entries.collect::<Result<_>>()?)))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let entries = map(config)?.iter();
        entries.map(|(key, entry)| Ok((K::from_key(key), T::from_field(Some(entry)).map_err(at(key))?))).collect()
    }
}

/// In the order of its keys, so that nothing depends on the state of a hasher.
impl<K: PathKey + std::hash::Hash, T: Track> Track for HashMap<K, T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        for (key, entry) in entries {
            entry.track(&format!("{name}/{}", escaped(key.as_key())), visitor);
        }
    }

    fn share(&self) -> Self {
        self.iter().map(|(key, entry)| (key.clone(), entry.share())).collect()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        let entries = self.iter().map(|(key, entry)| {
            let config = entry.field_config().map_err(at(key.as_key()))?;
            Ok((key.as_key().to_owned(), config.unwrap_or(Value::Null)))
        });
        Ok(Some(Value::Object(entries.collect::<Result<_>>()?)))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let entries = map(config)?.iter();
        entries.map(|(key, entry)| Ok((K::from_key(key), T::from_field(Some(entry)).map_err(at(key))?))).collect()
    }
}

impl<T: Track> Track for Box<T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        (**self).track(name, visitor);
    }

    fn share(&self) -> Self {
        Box::new((**self).share())
    }

    fn field_config(&self) -> Result<Option<Value>> {
        (**self).field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        T::from_field(config).map(Box::new)
    }
}

impl<T: Track> Track for Arc<T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        track_held(self, name, visitor);
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        held_config(self)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        config::shared(config, || T::from_field(config).map(Arc::new))
    }
}

/// Shows what is in an `Arc`, telling the visitor that it is.
pub(crate) fn track_held<T: Track + ?Sized>(arc: &Arc<T>, name: &str, visitor: &mut dyn Visitor) {
    let address = Arc::as_ptr(arc).addr();
    (**arc).track(name, &mut InArc { visitor, address, order: 0 });
}

/// The config of what is in an `Arc`, marked where a module without variables is shared by its `Arc` alone.
pub(crate) fn held_config<T: Track + ?Sized>(arc: &Arc<T>) -> Result<Option<Value>> {
    let config = (**arc).field_config()?;
    Ok(config.map(|config| config::mark_held(config, Held::new(Arc::as_ptr(arc).addr(), 0), arc.as_ref())))
}

struct InArc<'v> {
    visitor: &'v mut dyn Visitor,
    address: usize,
    order: usize,
}

impl Visitor for InArc<'_> {
    fn variable(&mut self, name: &str, variable: &Variable) {
        self.visitor.variable(name, variable);
    }

    fn module(&mut self, name: &str, module: &dyn Module) {
        let held = Held::new(self.address, self.order);
        self.order += 1;
        self.visitor.held(name, module, held);
    }

    fn held(&mut self, name: &str, module: &dyn Module, held: Held) {
        self.visitor.held(name, module, held);
    }

    fn alias(&mut self, name: &str, alias: &str) {
        self.visitor.alias(name, alias);
    }

    fn flattened(&mut self, module: &dyn Module) {
        self.visitor.flattened(module);
    }

    fn slot(&mut self, name: &str, variable: &Variable, slot: SlotOf) {
        self.visitor.slot(name, variable, slot);
    }

    fn grows(&mut self, place: Arc<dyn Grow>) {
        self.visitor.grows(place);
    }
}

/// Possible because a visitor borrows no longer than its call: slots that an optimizer adds behind `&self`.
impl<T: Track> Track for Mutex<T> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        lock(self).track(name, visitor);
    }

    fn share(&self) -> Self {
        Mutex::new(lock(self).share())
    }

    fn field_config(&self) -> Result<Option<Value>> {
        lock(self).field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        T::from_field(config).map(Mutex::new)
    }
}

/// A thread that panicked while it held the lock left handles behind, which are as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

macro_rules! forward {
    ($($pointer:ident)*) => { $(
        impl<M: Module> Module for $pointer<M> {
            fn as_module(&self) -> &dyn Module {
                (**self).as_module()
            }

            fn class_name(&self) -> &str {
                (**self).class_name()
            }

            fn default_name(&self) -> &str {
                (**self).default_name()
            }

            fn given_name(&self) -> Option<&str> {
                (**self).given_name()
            }

            fn call_arguments(&self) -> Config {
                (**self).call_arguments()
            }

            fn package(&self) -> &str {
                (**self).package()
            }

            fn fields(&self, visitor: &mut dyn Visitor) {
                (**self).fields(visitor);
            }

            fn declare(&self) {
                (**self).declare();
            }

            fn build(&self, inputs: &InputShapes) -> Result<()> {
                (**self).build(inputs)
            }

            fn dtype_policy(&self) -> Option<DTypePolicy> {
                (**self).dtype_policy()
            }

            fn config(&self) -> Result<Config> {
                (**self).config()
            }
        }
    )* };
}

forward! { Box Arc }
