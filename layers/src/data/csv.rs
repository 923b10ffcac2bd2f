//! Tables of comma-separated values.

use super::Dataset;
use super::file::{Compression, Source, broken};
use modulor::{DType, Error, Result, Structure, Tensor, Tree, nearest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a file of comma-separated values is read: a builder, which reads the file when it is asked for its columns.
///
/// The first line names the columns, unless [`header`](Csv::header) says that it does not. A column whose dtype is not said
/// is int32, int64, float32, float64 or string: the first that holds all its values. A field that is empty is its
/// column's default, without one an error; of strings it is itself.
///
/// ```
/// use modulor::{Structure, Tensor};
/// use modulor_layers::data::Csv;
///
/// #[derive(Structure, Clone)]
/// struct Flower {
///     petal: Tensor,
///     kind: Tensor,
/// }
///
/// # fn main() -> modulor::Result<()> {
/// let path = std::env::temp_dir().join(format!("flowers-{}.csv", std::process::id()));
/// std::fs::write(&path, "petal,sepal,kind\n1.5,3,iris\n,4,rose\n").unwrap();
/// let flowers = Csv::new(&path).select(["petal", "kind"]).default("petal", "0").rows::<Flower>()?;
/// let last = flowers.iter().last().unwrap()?;
/// assert_eq!((last.petal.item::<f32>()?, &*last.kind.to_strings()?[0]), (0.0, &b"rose"[..]));
/// # std::fs::remove_file(path).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Csv {
    path: PathBuf,
    header: bool,
    names: Option<Vec<String>>,
    delimiter: u8,
    select: Option<Vec<String>>,
    dtypes: BTreeMap<String, DType>,
    defaults: BTreeMap<String, String>,
}

impl Csv {
    /// The file at `path`; one whose name ends in `.gz` is decompressed.
    pub fn new(path: impl AsRef<Path>) -> Csv {
        Csv {
            path: path.as_ref().to_owned(),
            header: true,
            names: None,
            delimiter: b',',
            select: None,
            dtypes: BTreeMap::new(),
            defaults: BTreeMap::new(),
        }
    }

    /// Whether the first line names the columns; it does unless set.
    #[must_use]
    pub fn header(self, header: bool) -> Csv {
        Csv { header, ..self }
    }

    /// What the columns are called, whatever the first line says; without it and without a header `0`, `1`, ...
    #[must_use]
    pub fn names<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Csv {
        Csv { names: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// What stands between the fields; a comma unless set.
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> Csv {
        Csv { delimiter, ..self }
    }

    /// Reads these columns alone.
    #[must_use]
    pub fn select<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Csv {
        Csv { select: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// The dtype of a column.
    #[must_use]
    pub fn dtype(mut self, name: impl Into<String>, dtype: DType) -> Csv {
        self.dtypes.insert(name.into(), dtype);
        self
    }

    /// What an empty field of a column stands for, as it would stand in the file.
    #[must_use]
    pub fn default(mut self, name: impl Into<String>, value: impl Into<String>) -> Csv {
        self.defaults.insert(name.into(), value.into());
        self
    }

    /// The columns by name, each a tensor of one dim.
    ///
    /// An error names the file, the line, the column and what stands there.
    pub fn columns(&self) -> Result<BTreeMap<String, Tensor>> {
        let bytes = Source::open(&self.path, Compression::of(&self.path))?.rest()?;
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(self.delimiter)
            .flexible(true)
            .from_reader(&*bytes);
        let mut records = reader.byte_records();
        let refused = |error: ::csv::Error| broken(&self.path, error);
        let first = if self.header { records.next().transpose().map_err(refused)? } else { None };
        let mut names = self.names.clone();
        if let (None, Some(first)) = (&names, &first) {
            let utf8 = |name: &[u8]| String::from_utf8(name.to_vec());
            let read = first.iter().map(utf8).collect::<Result<Vec<_>, _>>();
            names = Some(read.map_err(|_| broken(&self.path, "line 1: the name of a column must be UTF-8"))?);
        }
        let mut rows = Vec::new();
        for record in records {
            let record = record.map_err(refused)?;
            let names = names.get_or_insert_with(|| (0..record.len()).map(|at| at.to_string()).collect());
            if record.len() != names.len() {
                let line = record.position().map_or(0, ::csv::Position::line);
                let message = format!("line {line}: {} fields, and there are {} columns", record.len(), names.len());
                return Err(broken(&self.path, message));
            }
            rows.push(record);
        }
        let names = names.unwrap_or_default();
        let place = |name: &String| match names.iter().position(|known| known == name) {
            Some(place) => Ok(place),
            None => {
                let hint = nearest::suggestion(name, names.iter().map(String::as_str));
                let message = format!("{}: there is no column `{name}`; {hint}", self.path.display());
                Err(Error::not_found(message))
            }
        };
        self.dtypes.keys().chain(self.defaults.keys()).try_for_each(|name| place(name).map(drop))?;
        let mut columns = BTreeMap::new();
        for name in self.select.as_ref().unwrap_or(&names) {
            let column = Column { csv: self, name, place: place(name)?, rows: &rows };
            if columns.insert(name.clone(), column.tensor()?).is_some() {
                return Err(broken(&self.path, format!("two columns are called `{name}`")));
            }
        }
        Ok(columns)
    }

    /// A dataset of the lines: maps of scalars by the names of the columns, or a struct whose fields are called as they are.
    pub fn rows<T: Structure>(&self) -> Result<Dataset<T>> {
        let columns = self.columns()?;
        Dataset::from_tensor_slices(T::from_tree(map(columns))?)
    }

    /// As [`rows`](Csv::rows), with the column `label` beside the others.
    pub fn labelled<T: Structure>(&self, label: &str) -> Result<Dataset<(T, Tensor)>> {
        let mut columns = self.columns()?;
        let Some(label) = columns.remove(label) else {
            let hint = nearest::suggestion(label, columns.keys().map(String::as_str));
            let message = format!("{}: there is no column `{label}` for the label; {hint}", self.path.display());
            return Err(Error::not_found(message));
        };
        Dataset::from_tensor_slices((T::from_tree(map(columns))?, label))
    }
}

fn map(columns: BTreeMap<String, Tensor>) -> Tree {
    Tree::Map(columns.into_iter().map(|(name, column)| (name, Tree::Leaf(column))).collect())
}

/// A column of some rows, which all have it.
struct Column<'a> {
    csv: &'a Csv,
    name: &'a str,
    place: usize,
    rows: &'a [::csv::ByteRecord],
}

impl Column<'_> {
    /// The text of a field, the default where it is empty.
    fn text<'b>(&'b self, row: &'b ::csv::ByteRecord) -> &'b [u8] {
        let text = &row[self.place];
        match self.csv.defaults.get(self.name) {
            Some(default) if text.is_empty() => default.as_bytes(),
            _ => text,
        }
    }

    fn tensor(&self) -> Result<Tensor> {
        match self.csv.dtypes.get(self.name) {
            Some(&dtype) => self.of(dtype),
            None => self.of(self.guessed()),
        }
    }

    /// The first dtype that holds all values that are there.
    fn guessed(&self) -> DType {
        fn holds<T: std::str::FromStr>(text: &str) -> bool {
            text.parse::<T>().is_ok()
        }
        let mut kinds: Vec<(DType, fn(&str) -> bool)> = vec![
            (DType::F64, holds::<f64>),
            (DType::F32, |text| text.parse::<f32>().is_ok_and(|number| number.is_finite())),
            (DType::I64, holds::<i64>),
            (DType::I32, holds::<i32>),
        ];
        for text in self.rows.iter().map(|row| self.text(row)).filter(|text| !text.is_empty()) {
            let text = std::str::from_utf8(text).unwrap_or("no number").trim();
            while kinds.last().is_some_and(|(_, holds)| !holds(text)) {
                kinds.pop();
            }
        }
        kinds.last().map_or(DType::String, |(dtype, _)| *dtype)
    }

    fn of(&self, dtype: DType) -> Result<Tensor> {
        macro_rules! numbers {
            ($($dtype:ident $t:ty),*) => {
                match dtype {
                    DType::String => Tensor::strings([self.rows.len()], self.rows.iter().map(|row| self.text(row))),
                    DType::Bool => self.parsed(|text| match text {
                        "0" => Some(false),
                        "1" => Some(true),
                        _ if text.eq_ignore_ascii_case("true") => Some(true),
                        _ => text.eq_ignore_ascii_case("false").then_some(false),
                    }, dtype),
                    $(DType::$dtype => self.parsed(|text| text.parse::<$t>().ok(), dtype),)*
                    _ => Err(Error::unimplemented(format!("column `{}`: fields are not read as {dtype}", self.name))),
                }
            };
        }
        numbers!(F32 f32, F64 f64, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    }

    fn parsed<E: modulor::Element>(&self, parse: impl Fn(&str) -> Option<E>, dtype: DType) -> Result<Tensor> {
        let values = self.rows.iter().map(|row| {
            let text = String::from_utf8_lossy(self.text(row));
            parse(text.trim()).ok_or_else(|| {
                let line = row.position().map_or(0, ::csv::Position::line);
                let found =
                    if text.is_empty() { "is empty and has no default".into() } else { format!("has {text:?}") };
                broken(&self.csv.path, format!("line {line}: column `{}` of {dtype} {found}", self.name))
            })
        });
        Tensor::new([self.rows.len()], values.collect::<Result<Vec<_>>>()?)
    }
}
