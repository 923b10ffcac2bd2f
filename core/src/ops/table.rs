//! Tables from keys to values, behind handles, as variables are.

use super::constant;
use crate::op::{
    Accuracy, Attrs, Backward, Effect, Input, Op, OpDef, allowed, apply, apply_one, arity, see, with_rank,
};
use crate::tensor::{Change, Resource, Text};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Int(i64),
    Text(Text),
}

/// The entries, in the order in which they came.
#[derive(Default)]
struct Entries {
    /// Whether a table that is filled once was filled.
    is_filled: bool,
    places: HashMap<Key, usize>,
    keys: Vec<Key>,
    /// Strings, or the bytes of numbers.
    values: Vec<Text>,
}

/// What a handle leads to.
struct Table {
    key_dtype: DType,
    value_dtype: DType,
    is_mutable: bool,
    entries: RwLock<Entries>,
}

impl Table {
    fn new(key_dtype: DType, value_dtype: DType, is_mutable: bool) -> Result<Table> {
        let is_key = |d| matches!(d, DType::String | DType::I32 | DType::I64);
        let key_dtype = allowed(key_dtype, is_key, "keys of string, int32 or int64")?;
        let value_dtype = allowed(value_dtype, DType::has_elements, "values that are numbers, bools or strings")?;
        Ok(Table { key_dtype, value_dtype, is_mutable, entries: RwLock::default() })
    }

    fn of(handle: &Tensor) -> Result<Arc<Table>> {
        let resource = handle.as_resource()?;
        resource.clone().as_any().downcast::<Table>().map_err(|_| {
            Error::invalid_argument(format!("expected the handle of a table, found that of `{}`", resource.name()))
        })
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self, keys: &Tensor) -> Result<Vec<Key>> {
        match keys.dtype() {
            DType::String => Ok(keys.to_strings()?.into_iter().map(Key::Text).collect()),
            _ => Ok(keys.cast(DType::I64)?.to_vec::<i64>()?.into_iter().map(Key::Int).collect()),
        }
    }

    /// Each element as it is kept.
    fn values(values: &Tensor) -> Result<Vec<Text>> {
        match values.dtype() {
            DType::String => values.to_strings(),
            dtype => Ok(values.to_bytes()?.chunks(dtype.size()).map(Text::from).collect()),
        }
    }

    /// The values as a tensor of these dims.
    fn tensor<'a>(&self, dims: &[usize], values: impl Iterator<Item = &'a Text>) -> Result<Tensor> {
        match self.value_dtype {
            DType::String => Tensor::strings(dims, values),
            dtype => {
                Tensor::from_bytes(dtype, dims, &values.flat_map(|value| value.iter().copied()).collect::<Vec<_>>())
            }
        }
    }

    /// The value of each key, or the default.
    fn find(&self, keys: &Tensor, default: &Tensor) -> Result<Tensor> {
        let (own, default) = (self.keys(keys)?, Table::values(default)?);
        let default = default.first().ok_or_else(|| Error::internal("one default was inferred"))?;
        let entries = self.entries();
        if !entries.is_filled && !self.is_mutable {
            return Err(Error::failed_precondition("the table was not filled yet"));
        }
        self.tensor(
            keys.dims()?,
            own.iter().map(|key| entries.places.get(key).map_or(default, |&at| &entries.values[at])),
        )
    }

    /// Adds entries, or replaces what keys led to.
    fn insert(&self, keys: &Tensor, values: &Tensor) -> Result<()> {
        if !self.is_mutable {
            return Err(Error::unimplemented("entries are not added to a table that is filled once"));
        }
        let (keys, values) = (self.keys(keys)?, Table::values(values)?);
        let mut entries = self.entries_mut();
        let entries = &mut *entries;
        for (key, value) in keys.into_iter().zip(values) {
            match entries.places.get(&key) {
                Some(&at) => entries.values[at] = value,
                None => {
                    entries.places.insert(key.clone(), entries.keys.len());
                    entries.keys.push(key);
                    entries.values.push(value);
                }
            }
        }
        Ok(())
    }

    /// Fills the table: one that is filled once with what it holds already, or not at all.
    fn fill(&self, keys: &Tensor, values: &Tensor) -> Result<()> {
        if self.is_mutable {
            *self.entries_mut() = Entries::default();
            return self.insert(keys, values);
        }
        let (keys, values) = (self.keys(keys)?, Table::values(values)?);
        let mut filled = Entries { is_filled: true, ..Entries::default() };
        for (key, value) in keys.into_iter().zip(values) {
            match filled.places.get(&key) {
                Some(&at) if filled.values[at] != value => {
                    return Err(Error::failed_precondition(format!("the key {key:?} comes twice, with other values")));
                }
                Some(_) => {}
                None => {
                    filled.places.insert(key.clone(), filled.keys.len());
                    filled.keys.push(key);
                    filled.values.push(value);
                }
            }
        }
        let mut entries = self.entries_mut();
        match entries.is_filled && (entries.keys != filled.keys || entries.values != filled.values) {
            true => Err(Error::failed_precondition("the table was filled before, with other entries")),
            false => {
                *entries = filled;
                Ok(())
            }
        }
    }

    fn remove(&self, keys: &Tensor) -> Result<()> {
        let keys = self.keys(keys)?;
        let mut entries = self.entries_mut();
        let entries = &mut *entries;
        let gone: Vec<usize> = keys.iter().filter_map(|key| entries.places.remove(key)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut at = 0..entries.keys.len();
        let is_gone: std::collections::HashSet<usize> = gone.into_iter().collect();
        entries.keys.retain(|_| at.next().is_some_and(|at| !is_gone.contains(&at)));
        let mut at = 0..entries.values.len();
        entries.values.retain(|_| at.next().is_some_and(|at| !is_gone.contains(&at)));
        entries.places = entries.keys.iter().cloned().zip(0..).collect();
        Ok(())
    }

    fn export(&self) -> Result<[Tensor; 2]> {
        let entries = self.entries();
        let count = [entries.keys.len()];
        let texts = entries.keys.iter().filter_map(|key| if let Key::Text(text) = key { Some(text) } else { None });
        let ints = entries.keys.iter().filter_map(|key| if let Key::Int(int) = key { Some(*int) } else { None });
        let keys = match self.key_dtype {
            DType::String => Tensor::strings(count, texts)?,
            dtype => Tensor::new(count, ints.collect::<Vec<i64>>())?.cast(dtype)?,
        };
        Ok([keys, self.tensor(&count, entries.values.iter())?])
    }

    fn no_variable<T>(&self) -> Result<T> {
        Err(Error::invalid_argument(format!("{} is no variable", self.name())))
    }
}

impl Resource for Table {
    fn name(&self) -> String {
        format!("a table from {} to {}", self.key_dtype, self.value_dtype)
    }
    fn spec(&self) -> Result<Spec> {
        self.no_variable()
    }
    fn read(&self) -> Result<Tensor> {
        self.no_variable()
    }
    fn write(&self, _: Tensor) -> Result<()> {
        self.no_variable()
    }
    fn update(&self, _: Change) -> Result<()> {
        self.no_variable()
    }
    fn trainable(&self) -> bool {
        false
    }
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} entries", self.name(), self.entries().keys.len())
    }
}

/// Refuses a handle that is known to lead to a table of other dtypes, or to none.
fn check(handle: &Input, key: Option<DType>, value: Option<DType>) -> Result<()> {
    allowed(handle.spec.dtype, |d| d == DType::Resource, "a table's handle")?;
    let Some(table) = handle.value.map(Table::of).transpose()? else { return Ok(()) };
    let own = [(key, table.key_dtype, "keys"), (value, table.value_dtype, "values")];
    for (found, expected, what) in own {
        if let Some(found) = found.filter(|&found| found != expected) {
            return Err(Error::invalid_argument(format!("the table's {what} are {expected}, found {found}")));
        }
    }
    Ok(())
}

/// One way to make a table a row: each node of a graph has one of its own, which stays from run to run.
macro_rules! tables {
    ($($op:ident $is_mutable:literal;)*) => {
        $(
            struct $op {
                attrs: Attrs,
                handle: OnceLock<Tensor>,
            }

            impl fmt::Debug for $op {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}{:?}", stringify!($op), self.attrs)
                }
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    self.attrs.clone()
                }
                fn effect(&self) -> Effect {
                    Effect::Reads
                }
                fn is_its_text(&self) -> bool {
                    false
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [] = arity(inputs)?;
                    Ok(vec![Spec::new(DType::Resource, Shape::scalar())])
                }
                fn make(&self, _: &[&Tensor]) -> Result<Vec<Tensor>> {
                    if let Some(handle) = self.handle.get() {
                        return Ok(vec![handle.clone()]);
                    }
                    let [key, value] = ["key_dtype", "value_dtype"].map(|name| self.attrs.dtype(name, None));
                    let table = Table::new(key?, value?, $is_mutable)?;
                    Ok(vec![self.handle.get_or_init(|| Tensor::resource(Arc::new(table))).clone()])
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    constant(b)
                }
            }

            impl $op {
                fn of(attrs: &Attrs) -> Result<$op> {
                    let own = Attrs::new()
                        .with("container", attrs.string("container", String::new())?)
                        .with("shared_name", attrs.string("shared_name", String::new())?)
                        .with("use_node_name_sharing", attrs.bool("use_node_name_sharing", false)?)
                        .with("key_dtype", attrs.dtype("key_dtype", None)?)
                        .with("value_dtype", attrs.dtype("value_dtype", None)?);
                    Ok($op { attrs: own, handle: OnceLock::new() })
                }
            }
        )*
        const TABLES: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op::of(attrs)?)),
            accuracy: Accuracy::Exact,
        }),*];
    };
}

tables! {
    HashTableV2 false;
    MutableHashTableV2 true;
}

/// Refuses keys without a value each.
fn check_entries([handle, keys, values]: &[Input; 3]) -> Result<Vec<Spec>> {
    check(handle, Some(keys.spec.dtype), Some(values.spec.dtype))?;
    if !keys.spec.shape.is_compatible_with(&values.spec.shape) {
        let (keys, values) = (&keys.spec.shape, &values.spec.shape);
        return Err(Error::invalid_argument(format!("there must be a value for each key of {keys}, found {values}")));
    }
    Ok(Vec::new())
}

/// One op on a table a row: what it does to it, what follows from the inputs, and what it gives of the table and them.
macro_rules! lookups {
    ($($(#[$doc:meta])* $op:ident $effect:ident |$given:ident| $infer:expr, |$table:ident, $x:ident| $make:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn effect(&self) -> Effect {
                    Effect::$effect
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let $given = arity(inputs)?;
                    $infer
                }
                // There is no buffer to write of a handle.
                fn make(&self, $x: &[&Tensor]) -> Result<Vec<Tensor>> {
                    self.infer(&$x.iter().map(|x| see(x)).collect::<Vec<_>>())?;
                    let $table = Table::of($x[0])?;
                    $make
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    constant(b)
                }
            }
        )*
        const LOOKUPS: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

lookups! {
    /// Fills a table.
    InitializeTableV2 Writes |given| check_entries(given), |table, x| table.fill(x[1], x[2]).map(|()| Vec::new());
    /// Likewise.
    LookupTableImportV2 Writes |given| check_entries(given), |table, x| table.fill(x[1], x[2]).map(|()| Vec::new());
    /// Adds entries, or replaces what keys led to.
    LookupTableInsertV2 Writes |given| check_entries(given), |table, x| table.insert(x[1], x[2]).map(|()| Vec::new());
    /// The value of each key.
    LookupTableFindV2 Reads |given| {
        let [handle, keys, default]: &[Input; 3] = given;
        check(handle, Some(keys.spec.dtype), Some(default.spec.dtype))?;
        with_rank(&default.spec.shape, 0, "the default value")?;
        Ok(vec![Spec::new(default.spec.dtype, &keys.spec.shape)])
    }, |table, x| table.find(x[1], x[2]).map(|found| vec![found]);
    /// A table without some entries.
    LookupTableRemoveV2 Writes |given| {
        let [handle, keys]: &[Input; 2] = given;
        check(handle, Some(keys.spec.dtype), None)?;
        match handle.value.map(Table::of).transpose()?.is_some_and(|table| !table.is_mutable) {
            true => Err(Error::unimplemented("entries of a table that is filled once are not removed")),
            false => Ok(Vec::new()),
        }
    }, |table, x| table.remove(x[1]).map(|()| Vec::new());
    /// How many entries there are.
    LookupTableSizeV2 Reads |given| {
        let [handle]: &[Input; 1] = given;
        check(handle, None, None)?;
        Ok(vec![Spec::new(DType::I64, Shape::scalar())])
    }, |table, _x| Ok(vec![Tensor::scalar(table.entries().keys.len() as i64)]);
}

/// All keys and their values.
#[derive(Debug)]
struct LookupTableExportV2 {
    keys: DType,
    values: DType,
}

impl Op for LookupTableExportV2 {
    fn name(&self) -> &'static str {
        "LookupTableExportV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("Tkeys", self.keys).with("Tvalues", self.values)
    }
    fn effect(&self) -> Effect {
        Effect::Reads
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [handle] = arity(inputs)?;
        check(handle, Some(self.keys), Some(self.values))?;
        Ok(vec![Spec::new(self.keys, [None]), Spec::new(self.values, [None])])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.infer(&[see(inputs[0])])?;
        Ok(Table::of(inputs[0])?.export()?.into())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// A table from strings or integers to values, as `tf.lookup.StaticHashTable`, which is filled once, and
/// `tf.lookup.experimental.MutableHashTable`.
///
/// A clone is another handle to the same table. In a trace a graph holds the handle, and reads what the table has when it
/// runs. A table is no variable: it is in no checkpoint, and graphs that hold one are not written to files.
///
/// ```
/// use modulor_core::{HashTable, Tensor};
/// # fn main() -> modulor_core::Result<()> {
/// let table = HashTable::new(&Tensor::strings([2], ["a", "b"])?, &Tensor::from([1_i64, 2]))?;
/// let found = table.find(&Tensor::strings([3], ["b", "x", "a"])?, &Tensor::scalar(-1_i64))?;
/// assert_eq!(found.to_vec::<i64>()?, [2, -1, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HashTable {
    handle: Tensor,
}

impl HashTable {
    /// A table with these entries, which stay as they are; keys are string, int32 or int64.
    ///
    /// An error where there is not one value for each key, or a key comes twice with different values.
    pub fn new(keys: &Tensor, values: &Tensor) -> Result<HashTable> {
        let table = Table::new(keys.dtype(), values.dtype(), false)?;
        let table = HashTable { handle: Tensor::resource(Arc::new(table)) };
        let op = LookupTableImportV2;
        let inputs = [&table.handle, keys, values];
        // Done now, also in a trace, which only reads it.
        op.infer(&inputs.map(see)).and_then(|_| op.make(&inputs)).map_err(|error| error.in_op(op.name()))?;
        Ok(table)
    }

    /// A table without entries, to which some may be added.
    pub fn mutable(key_dtype: DType, value_dtype: DType) -> Result<HashTable> {
        Ok(HashTable { handle: Tensor::resource(Arc::new(Table::new(key_dtype, value_dtype, true)?)) })
    }

    /// The handle, as ops of graphs take it.
    pub fn handle(&self) -> &Tensor {
        &self.handle
    }

    /// The value of each key, or `default`, a scalar, of one that the table does not have. TensorFlow's
    /// `LookupTableFindV2`.
    pub fn find(&self, keys: &Tensor, default: &Tensor) -> Result<Tensor> {
        apply_one(LookupTableFindV2, &[&self.handle, keys, default])
    }

    /// Adds entries, or replaces what keys led to. TensorFlow's `LookupTableInsertV2`. An error for a table that is filled
    /// once.
    ///
    /// ```
    /// use modulor_core::{DType, HashTable, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let table = HashTable::mutable(DType::I64, DType::String)?;
    /// table.insert(&Tensor::from([5_i64, 6]), &Tensor::strings([2], ["five", "six"])?)?;
    /// table.remove(&Tensor::from([6_i64]))?;
    /// assert_eq!(table.size()?.item::<i64>()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn insert(&self, keys: &Tensor, values: &Tensor) -> Result<()> {
        apply(LookupTableInsertV2, &[&self.handle, keys, values]).map(|_| ())
    }

    /// Takes entries out; a key that is not there changes nothing. TensorFlow's `LookupTableRemoveV2`. An error for a table
    /// that is filled once.
    pub fn remove(&self, keys: &Tensor) -> Result<()> {
        apply(LookupTableRemoveV2, &[&self.handle, keys]).map(|_| ())
    }

    /// How many entries there are (int64). TensorFlow's `LookupTableSizeV2`.
    pub fn size(&self) -> Result<Tensor> {
        apply_one(LookupTableSizeV2, &[&self.handle])
    }

    /// All keys and their values, in the order in which they came. TensorFlow's `LookupTableExportV2`.
    pub fn export(&self) -> Result<(Tensor, Tensor)> {
        let table = Table::of(&self.handle)?;
        let op = LookupTableExportV2 { keys: table.key_dtype, values: table.value_dtype };
        match <[Tensor; 2]>::try_from(apply(op, &[&self.handle])?) {
            Ok([keys, values]) => Ok((keys, values)),
            Err(_) => Err(Error::internal("two outputs were inferred")),
        }
    }
}

impl fmt::Debug for HashTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Table::of(&self.handle) {
            Ok(table) => fmt::Debug::fmt(&table, f),
            Err(error) => fmt::Display::fmt(&error, f),
        }
    }
}

const EXPORT: OpDef = OpDef {
    name: "LookupTableExportV2",
    parse: |attrs| {
        let (keys, values) = (attrs.dtype("Tkeys", None)?, attrs.dtype("Tvalues", None)?);
        Ok(Arc::new(LookupTableExportV2 { keys, values }))
    },
    accuracy: Accuracy::Exact,
};

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[TABLES, LOOKUPS, &[EXPORT]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trace;
    use crate::op::dispatch;
    use crate::{ErrorKind, Function, Variable};

    fn table() -> HashTable {
        HashTable::new(&Tensor::strings([3], ["a", "b", "c"]).unwrap(), &Tensor::from([1_i64, 2, 3])).unwrap()
    }

    #[test]
    fn a_graph_and_a_compiled_function_read_the_table_that_they_hold() {
        let table = table();
        let keys = Tensor::strings([2, 2], ["c", "", "a", "z"]).unwrap();
        let default = Tensor::scalar(-1_i64);
        let expected = [3, -1, 1, -1];
        assert_eq!(table.find(&keys, &default).unwrap().to_vec::<i64>().unwrap(), expected);
        let spec = Spec::new(DType::String, vec![None, Some(2)]);
        let own = table.clone();
        let graph = trace(|x| Ok(vec![own.find(&x[0], &default)?]), &[spec]).unwrap();
        assert_eq!(graph.run(&[&keys]).unwrap()[0].to_vec::<i64>().unwrap(), expected);
        let function =
            Function::new(move |x: &Tensor| table.find(x, &Tensor::scalar(-1_i64))?.add(Tensor::scalar(1_i64)));
        for _ in 0..2 {
            let found: Tensor = function.call(&keys).unwrap();
            assert_eq!(found.to_vec::<i64>().unwrap(), [4, 0, 2, 0]);
        }
    }

    #[test]
    fn a_mutable_table_in_a_trace_has_what_was_put_there_before() {
        let table = HashTable::mutable(DType::I64, DType::F32).unwrap();
        let own = table.clone();
        let spec = Spec::new(DType::I64, [Some(2)]);
        let body = |x: &[Tensor]| {
            let before = own.find(&x[0], &Tensor::scalar(0.0_f32))?;
            own.insert(&x[0], &before.add(1.0)?)?;
            Ok(vec![before, own.find(&x[0], &Tensor::scalar(0.0_f32))?, own.size()?])
        };
        let graph = trace(body, &[spec]).unwrap();
        for (keys, before, size) in [([5_i64, 6], [0.0_f32, 0.0], 2), ([5, 7], [1.0, 0.0], 3)] {
            let out = graph.run(&[&Tensor::from(keys)]).unwrap();
            assert_eq!(out[0].to_vec::<f32>().unwrap(), before);
            assert_eq!(out[1].to_vec::<f32>().unwrap(), before.map(|x| x + 1.0));
            assert_eq!(out[2].item::<i64>().unwrap(), size);
        }
        table.remove(&Tensor::from([5_i64, 99])).unwrap();
        let (keys, values) = table.export().unwrap();
        assert_eq!(keys.to_vec::<i64>().unwrap(), [6, 7]);
        assert_eq!(values.to_vec::<f32>().unwrap(), [1.0, 1.0]);
        assert_eq!(table.find(&Tensor::scalar(7_i64), &Tensor::scalar(0.0_f32)).unwrap().item::<f32>().unwrap(), 1.0);
    }

    #[test]
    fn ops_of_a_graph_make_fill_and_read_a_table() {
        let attrs = Attrs::new().with("key_dtype", DType::String).with("value_dtype", DType::I64);
        let op: Arc<dyn Op> = Arc::new(HashTableV2::of(&attrs).unwrap());
        let handle = dispatch(op.clone(), &[]).unwrap().remove(0);
        let again = dispatch(op, &[]).unwrap().remove(0);
        let key = Tensor::strings([1], ["k"]).unwrap();
        let find = |handle: &Tensor| apply_one(LookupTableFindV2, &[handle, &key, &Tensor::scalar(0_i64)]);
        assert_eq!(find(&handle).unwrap_err().kind(), ErrorKind::FailedPrecondition);
        apply(LookupTableImportV2, &[&handle, &key, &Tensor::from([7_i64])]).unwrap();
        assert_eq!(find(&again).unwrap().to_vec::<i64>().unwrap(), [7]);
        apply(InitializeTableV2, &[&handle, &key, &Tensor::from([7_i64])]).unwrap();
        let error = apply(InitializeTableV2, &[&handle, &key, &Tensor::from([8_i64])]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    }

    #[test]
    fn what_is_no_table_or_of_other_dtypes_is_refused() {
        let (table, ints) = (table(), Tensor::from([1_i64]));
        let key = Tensor::strings([1], ["a"]).unwrap();
        for (error, words) in [
            (table.find(&ints, &Tensor::scalar(0_i64)), "the table's keys are string, found int64"),
            (table.find(&key, &Tensor::scalar(0_i32)), "the table's values are int64, found int32"),
            (table.find(&key, &Tensor::from([0_i64])), "the default value must have rank 0"),
        ] {
            assert!(error.as_ref().unwrap_err().message().contains(words), "{error:?}");
        }
        assert!(table.remove(&key).unwrap_err().message().contains("not removed"));
        let doubled = HashTable::new(&Tensor::from([1_i64, 1]), &Tensor::from([1_i64, 2])).unwrap_err();
        assert!(doubled.message().contains("comes twice"), "{doubled}");
        let few = HashTable::new(&Tensor::from([1_i64, 1]), &Tensor::from([1_i64])).unwrap_err();
        assert!(few.message().contains("a value for each key of (2,)"), "{few}");
        assert!(HashTable::mutable(DType::F32, DType::I64).unwrap_err().message().contains("keys of string"));
        let handle = crate::tape::Source::watched(&Variable::new(1.0)).clone();
        let of_variable = apply_one(LookupTableSizeV2, &[&handle]).unwrap_err();
        assert!(of_variable.message().contains("expected the handle of a table"), "{of_variable}");
        let read = table.handle().as_resource().unwrap().read().unwrap_err();
        assert!(read.message().contains("a table from string to int64 is no variable"), "{read}");
    }
}
