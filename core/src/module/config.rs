//! Configs: modules as data, in Keras's form.
//!
//! A module is written as `{"module", "class_name", "config", "registered_name"}`: under Keras's own packages with that
//! package as `module` and no registered name, otherwise with the registered name `package>Type`. A module that occurs
//! more than once has a `shared_object_id` at each place and becomes one module again when it is read.

use super::{FromConfig, Held, Identity, Module, ModuleExt, Node, Track, walk};
use crate::{DType, DTypePolicy, Error, Result, nearest, registry::class};
use serde_json::{Map, Value, json};
use std::{
    any::{Any, TypeId},
    borrow::Cow,
    cell::RefCell,
    collections::HashMap,
};

/// The settings of a module by name, with the configs of its submodules.
pub type Config = Map<String, Value>;

/// The keys that Keras puts into the config of every layer.
const BASE_KEYS: [&str; 3] = ["name", "trainable", "dtype"];

/// The key of the schema version, written where it is not 1.
const VERSION: &str = "schema_version";

fn is_keras(package: &str) -> bool {
    package == "keras" || package.starts_with("keras.")
}

/// Whether classes of a package are Keras layers, whose configs start with the [`BASE_KEYS`].
fn has_base_keys(package: &str) -> bool {
    matches!(package, "keras" | "keras.layers" | "keras.src.models.functional")
}

// ---- writing ----

thread_local! {
    /// The modules that occur more than once in what is being written, with their ids.
    static SHARED: RefCell<Option<HashMap<Identity, u64>>> = const { RefCell::new(None) };
}

/// Runs `write`, which makes the config of `root` or of parts of it, so that modules shared within `root` are marked.
///
/// Within another `writing` the outer one decides what is shared. Fails where two modules hold one variable, which a
/// config cannot say.
pub fn writing<R>(root: &dyn Module, write: impl FnOnce() -> Result<R>) -> Result<R> {
    if SHARED.with_borrow(Option::is_some) {
        return write();
    }
    let shared = shared_modules(&walk(root))?;
    let _scope = Scope::enter(&SHARED, shared);
    write()
}

/// Sets a thread-local for as long as it lives.
struct Scope<T: 'static>(&'static std::thread::LocalKey<RefCell<Option<T>>>);

impl<T> Scope<T> {
    fn enter(key: &'static std::thread::LocalKey<RefCell<Option<T>>>, value: T) -> Self {
        key.set(Some(value));
        Scope(key)
    }
}

impl<T> Drop for Scope<T> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

fn shared_modules(root: &Node) -> Result<HashMap<Identity, u64>> {
    #[derive(Default)]
    struct Count {
        places: HashMap<Identity, usize>,
        order: Vec<Identity>,
        variables: HashMap<u64, String>,
    }

    fn count(node: &Node, path: &str, counted: &mut Count) -> Result<()> {
        if let Some(identity) = &node.identity {
            let places = counted.places.entry(identity.clone()).or_default();
            *places += 1;
            match *places {
                1 => {}
                2 => {
                    counted.order.push(identity.clone());
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        for (name, variable) in &node.variables {
            let path = walk::join(path, name);
            if let Some(other) = counted.variables.insert(variable.id(), path.clone()) {
                let message = format!(
                    "one variable is at `{other}` and at `{path}`, which a config cannot say; \
                     share the module that holds it instead"
                );
                return Err(Error::failed_precondition(message));
            }
        }
        node.modules.iter().try_for_each(|(name, module)| count(module, &walk::join(path, name), counted))
    }

    let mut counted = Count::default();
    count(root, "", &mut counted)?;
    Ok(counted.order.into_iter().zip(0..).collect())
}

fn shared_id(identity: Option<Identity>) -> Option<u64> {
    SHARED.with_borrow(|shared| shared.as_ref()?.get(&identity?).copied())
}

/// A module as a serialized object: its [`config`](Module::config) with the names that find its class again.
pub fn object(module: &dyn Module) -> Result<Value> {
    writing(module, || {
        let class = class::name_of(module.type_id()).unwrap_or_else(|| module.class_name());
        let package = module.package();
        let (home, registered) = match is_keras(package) {
            true => (json!(package), Value::Null),
            false => (Value::Null, json!(format!("{package}>{class}"))),
        };
        let mut object = json!({
            "module": home,
            "class_name": class,
            "config": module.config()?,
            "registered_name": registered,
        });
        if let Some(id) = shared_id(Identity::of(module, None)) {
            object["shared_object_id"] = id.into();
        }
        Ok(object)
    })
}

/// Marks a config that came out of an `Arc`, where the `Arc` is what makes its module a shared one.
pub(super) fn mark_held<T: Track + ?Sized>(mut config: Value, held: Held, inner: &T) -> Value {
    struct First(Option<Identity>, Held);
    impl super::Visitor for First {
        fn variable(&mut self, _: &str, _: &crate::Variable) {}

        fn module(&mut self, _: &str, module: &dyn Module) {
            self.0 = Identity::of(module, Some(self.1));
        }
    }
    if config.get("class_name").is_some() && config.get("shared_object_id").is_none() {
        let mut first = First(None, held);
        inner.track("", &mut first);
        if let Some(id) = shared_id(first.0) {
            config["shared_object_id"] = id.into();
        }
    }
    config
}

/// The config of `module`: the keys every module may have, and those that `fill` writes.
///
/// The first are `name`, `trainable` and `dtype` in Keras's packages; elsewhere `trainable`, and only where something is
/// frozen. A field of the same name replaces them. `trainable` is `false` where everything below is frozen, else an
/// object of the variables of this module whose flags are not as declared.
pub fn write(module: &dyn Module, version: u32, fill: &mut dyn FnMut(&mut Config) -> Result<()>) -> Result<Config> {
    writing(module, || {
        let mut config = Config::new();
        let trainable = trainable_flag(&walk(module));
        if has_base_keys(module.package()) {
            config.insert("name".to_owned(), module.default_name().into());
            config.insert("trainable".to_owned(), trainable.unwrap_or(Value::Bool(true)));
            let policy = module.dtype_policy().unwrap_or_else(|| DType::F32.into());
            config.insert("dtype".to_owned(), serde_json::to_value(policy).map_err(|e| said(&e).within("dtype"))?);
        } else if let Some(trainable) = trainable {
            config.insert("trainable".to_owned(), trainable);
        }
        if version != 1 {
            config.insert(VERSION.to_owned(), version.into());
        }
        fill(&mut config)?;
        Ok(config)
    })
}

fn said(error: &serde_json::Error) -> Error {
    Error::invalid_argument(error.to_string())
}

fn trainable_flag(node: &Node) -> Option<Value> {
    let (mut frozen, mut trained) = (false, false);
    node.each_variable(&mut |_, variable| {
        trained |= variable.trainable();
        frozen |= variable.is_frozen();
    });
    if frozen && !trained {
        return Some(Value::Bool(false));
    }
    let changed = node.variables.iter().filter(|(_, variable)| variable.is_frozen());
    let flags: Config = changed.map(|(name, _)| (name.clone(), Value::Bool(false))).collect();
    (!flags.is_empty()).then_some(Value::Object(flags))
}

// ---- reading ----

type ReadObjects = HashMap<(u64, TypeId), Box<dyn Any>>;

thread_local! {
    /// The shared objects that have been read so far, by id and type.
    static READ: RefCell<Option<ReadObjects>> = const { RefCell::new(None) };
}

/// Runs `read`, which makes modules out of configs, so that one `shared_object_id` gives one module.
///
/// Within another `reading` the outer one keeps the modules.
pub fn reading<R>(read: impl FnOnce() -> Result<R>) -> Result<R> {
    if READ.with_borrow(Option::is_some) {
        return read();
    }
    let _scope = Scope::enter(&READ, HashMap::new());
    read()
}

/// The object that a config describes: the one that was read before under the same `shared_object_id`, or what `make`
/// makes of it.
pub(crate) fn shared<T: Track + 'static>(config: Option<&Value>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(id) = config.and_then(|config| config.get("shared_object_id")?.as_u64()) else {
        return make();
    };
    let key = (id, TypeId::of::<T>());
    let known = READ.with_borrow(|read| {
        let known = read.as_ref()?.get(&key)?.downcast_ref::<T>()?;
        Some(known.share())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let made = make()?;
    READ.with_borrow_mut(|read| {
        if let Some(read) = read {
            read.insert(key, Box::new(made.share()));
        }
    });
    Ok(made)
}

/// A module out of a serialized object that must be of class `T`.
pub fn read_object<T: FromConfig>(class: &str, object: Option<&Value>) -> Result<T> {
    let Some(value) = object else {
        return Err(Error::invalid_argument(format!("the key is missing: a `{class}` is needed")));
    };
    let (Some(found), Some(config)) = (value["class_name"].as_str(), value["config"].as_object()) else {
        let message =
            format!("expected a serialized `{class}`, an object with `class_name` and `config`; found {value}");
        return Err(Error::invalid_argument(message));
    };
    // A generic type is registered under its full name, `Residual<Dense>`, and a class may have other names.
    if found.split('<').next() != Some(class) && class::find(value).map_or("", |entry| entry.class) != class {
        return Err(Error::invalid_argument(format!("expected a `{class}`, found a `{found}`")));
    }
    reading(|| shared(object, || T::from_config(config)))
}

/// The faults of one config, collected so that they are reported together.
#[derive(Debug)]
pub struct Faults {
    class: &'static str,
    messages: Vec<String>,
}

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, error: Error) {
        self.messages.push(error.to_string());
    }

    /// The error that says all of them.
    pub fn into_error(self) -> Error {
        fault(self.class, self.messages.join("; "))
    }

    /// The same, if there are any.
    pub fn into_result(self) -> Result<()> {
        if self.messages.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }
}

fn fault(class: &str, message: impl std::fmt::Display) -> Error {
    Error::invalid_argument(format!("config of `{class}`: {message}"))
}

/// What a generated `from_config` knows of its class.
pub struct Schema {
    /// The name of the type.
    pub class: &'static str,
    /// The version that is written.
    pub version: u32,
    /// Turns a config of an older version into one of the present version.
    pub migrate: Option<fn(Config, u32) -> Result<Config>>,
}

impl Schema {
    /// A config brought to the present version.
    pub fn open<'c>(&self, config: &'c Config) -> Result<Cow<'c, Config>> {
        let found = config.get(VERSION).map_or(Some(1), |version| u32::try_from(version.as_u64()?).ok());
        match (found, self.migrate) {
            (Some(found), _) if found == self.version => Ok(Cow::Borrowed(config)),
            (Some(found), Some(migrate)) if (1..self.version).contains(&found) => {
                migrate(config.clone(), found).map(Cow::Owned)
            }
            _ => {
                let found = config.get(VERSION).unwrap_or(&Value::Null);
                let known = self.version;
                Err(fault(
                    self.class,
                    format!("it has `{VERSION}` {found}, and this program knows those up to {known}"),
                ))
            }
        }
    }

    /// The first faults of a config: keys that the class does not have.
    pub fn faults(&self, config: &Config, keys: &[&str]) -> Faults {
        let mut messages = Vec::new();
        for key in config.keys() {
            let known = keys.contains(&key.as_str()) || BASE_KEYS.contains(&key.as_str()) || key == VERSION;
            if !known {
                let known = nearest::suggestion(key, keys.iter().copied());
                messages.push(format!("unknown key `{key}`; {known}"));
            }
        }
        if let Some(dtype) = config.get("dtype").filter(|_| !keys.contains(&"dtype")) {
            let name = dtype.as_str().or_else(|| dtype["config"]["name"].as_str());
            if !dtype.is_null() && name != Some("float32") {
                messages.push(format!("dtype: this class has no dtype policy, and cannot compute in {dtype}"));
            }
        }
        Faults { class: self.class, messages }
    }

    /// The policy in a config of a class that reads it by hand.
    pub fn policy(&self, config: &Config) -> Result<DTypePolicy> {
        let read = |value: &Value| serde_json::from_value(value.clone());
        let policy = config.get("dtype").map(read).transpose().map_err(|error| fault(self.class, error))?;
        Ok(policy.unwrap_or_default())
    }

    /// The name of the variant of an enum, if the config has one.
    pub fn variant<'c>(&self, config: &'c Config) -> Result<Option<&'c str>> {
        match config.get("variant") {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(name)),
            Some(other) => Err(fault(self.class, format!("`variant` is a name, not {other}"))),
        }
    }

    /// The error for a variant that is none of `known`.
    pub fn unknown_variant(&self, found: Option<&str>, known: &[&str]) -> Error {
        let there_are = nearest::suggestion(found.unwrap_or_default(), known.iter().copied());
        match found {
            None => fault(self.class, format!("the key `variant` is missing; {there_are}")),
            Some(name) => fault(self.class, format!("unknown variant `{name}`; {there_are}")),
        }
    }

    /// The end of `from_config`: variables declared, flags as they were.
    pub fn close<M: Module>(&self, module: M, config: &Config, keys: &[&str]) -> Result<M> {
        module.declare();
        match config.get("trainable").filter(|_| !keys.contains(&"trainable")) {
            None | Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => module.freeze(),
            Some(Value::Object(flags)) => {
                restore_flags(&module, flags).map_err(|error| fault(self.class, error))?;
            }
            Some(other) => return Err(fault(self.class, format!("`trainable` is true or false, not {other}"))),
        }
        Ok(module)
    }
}

fn restore_flags(module: &dyn Module, flags: &Config) -> Result<()> {
    let node = walk(module);
    for (name, flag) in flags {
        let found = node.variables.iter().find(|(known, _)| known == name);
        let (Some((_, variable)), Some(flag)) = (found, flag.as_bool()) else {
            let known = nearest::suggestion(name, node.variables.iter().map(|(known, _)| known.as_str()));
            return Err(Error::invalid_argument(format!("`trainable` names no variable by `{name}`: {flag}; {known}")));
        };
        variable.set_trainable(flag);
    }
    Ok(())
}
