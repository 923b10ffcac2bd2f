//! Tables of comma-separated values.

use super::file::{Compression, Source, broken};
use super::node::Items;
use super::{Dataset, source};
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
        let mut records = self.records()?;
        let mut rows = Vec::new();
        while let Some(row) = records.next_row()? {
            rows.push(row);
        }
        let names = records.names.unwrap_or_default();
        let mut columns = BTreeMap::new();
        for (name, place) in self.places(&names)? {
            columns.insert(name.clone(), Column { csv: self, name, place, rows: &rows }.tensor()?);
        }
        Ok(columns)
    }

    /// The rows as they stand in the file.
    fn records(&self) -> Result<Records<'_>> {
        let file = Source::open(&self.path, Compression::of(&self.path))?;
        let reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(self.delimiter)
            .flexible(true)
            .from_reader(file.into_reader());
        let mut records = Records { csv: self, rows: reader.into_byte_records(), names: self.names.clone() };
        let first = if self.header { records.rows.next() } else { None };
        let first = first.transpose().map_err(|error| broken(&self.path, error))?;
        if let (None, Some(first)) = (&records.names, &first) {
            let utf8 = |name: &[u8]| String::from_utf8(name.to_vec());
            let read = first.iter().map(utf8).collect::<Result<Vec<_>, _>>();
            records.names = Some(read.map_err(|_| broken(&self.path, "line 1: the name of a column must be UTF-8"))?);
        }
        Ok(records)
    }

    /// The columns that are read, and where they are among those of these names.
    fn places<'a>(&'a self, names: &'a [String]) -> Result<Vec<(&'a String, usize)>> {
        let place = |name: &String| match names.iter().position(|known| known == name) {
            Some(place) => Ok(place),
            None => {
                let hint = nearest::suggestion(name, names.iter().map(String::as_str));
                let message = format!("{}: there is no column `{name}`; {hint}", self.path.display());
                Err(Error::not_found(message))
            }
        };
        self.dtypes.keys().chain(self.defaults.keys()).try_for_each(|name| place(name).map(drop))?;
        let mut places = Vec::new();
        for name in self.select.as_deref().unwrap_or(names) {
            if places.iter().any(|(other, _)| *other == name) {
                return Err(broken(&self.path, format!("two columns are called `{name}`")));
            }
            places.push((name, place(name)?));
        }
        Ok(places)
    }

    /// A dataset of the lines: maps of scalars by the names of the columns, or a struct whose fields are called as they are.
    pub fn rows<T: Structure>(&self) -> Result<Dataset<T>> {
        let columns = self.columns()?;
        Dataset::from_tensor_slices(T::from_tree(map(columns))?)
    }

    /// As [`rows`](Csv::rows), reading each line when it is drawn, so that the file may be larger than the memory. The dtypes of
    /// all columns that are read must be said, by [`dtype`](Csv::dtype): an error says which is not, as others do when an
    /// iteration comes to them.
    ///
    /// ```
    /// use modulor::{DType, Tensor};
    /// use modulor_layers::data::Csv;
    /// use std::collections::BTreeMap;
    /// # fn main() -> modulor::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("steps-{}.csv", std::process::id()));
    /// # std::fs::write(&path, "step,loss\n1,0.5\n2,0.25\n").unwrap();
    /// let lines = Csv::new(&path).dtype("step", DType::I64).dtype("loss", DType::F32).stream::<BTreeMap<String, Tensor>>()?;
    /// let losses = lines.iter().map(|line| line?["loss"].item::<f32>()).collect::<modulor::Result<Vec<_>>>()?;
    /// assert_eq!(losses, [0.5, 0.25]);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<T: Structure>(&self) -> Result<Dataset<T>> {
        let csv = self.clone();
        // What is wrong with the columns is said at once, if they have names before the first row.
        if let Some(names) = &self.records()?.names {
            self.typed(names)?;
        }
        Ok(source::of_files([self.path.clone()], move |_| match csv.records() {
            Err(error) => source::only(error),
            Ok(records) => lines(csv.clone(), records.rows, records.names.clone()),
        }))
    }

    /// As [`places`](Csv::places), with the dtypes, all of which must have been said.
    fn typed<'a>(&'a self, names: &'a [String]) -> Result<Vec<(&'a String, usize, DType)>> {
        let typed = |(name, place): (&'a String, usize)| match self.dtypes.get(name) {
            Some(&dtype) => Ok((name, place, dtype)),
            None => {
                let message = format!(
                    "{}: the dtype of column `{name}` must be said before lines are read one by one",
                    self.path.display()
                );
                Err(Error::failed_precondition(message))
            }
        };
        self.places(names)?.into_iter().map(typed).collect()
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

/// The rows of a file, and what its columns are called, once that is known.
struct Records<'a> {
    csv: &'a Csv,
    rows: Rows,
    names: Option<Vec<String>>,
}

type Rows = ::csv::ByteRecordsIntoIter<Box<dyn std::io::Read + Send>>;

impl Records<'_> {
    fn next_row(&mut self) -> Result<Option<::csv::ByteRecord>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let row = row.map_err(|error| broken(&self.csv.path, error))?;
        let names = self.names.get_or_insert_with(|| (0..row.len()).map(|at| at.to_string()).collect());
        if row.len() == names.len() {
            return Ok(Some(row));
        }
        let line = row.position().map_or(0, ::csv::Position::line);
        let message = format!("line {line}: {} fields, and there are {} columns", row.len(), names.len());
        Err(broken(&self.csv.path, message))
    }
}

/// The elements that rows are.
fn lines<T: Structure>(csv: Csv, rows: Rows, names: Option<Vec<String>>) -> Items<T> {
    let (mut rows, mut names) = (Some(rows), names);
    Box::new(std::iter::from_fn(move || {
        let mut records = Records { csv: &csv, rows: rows.take()?, names: names.take() };
        let element = records.next_row().transpose()?.and_then(|row| {
            let names = records.names.as_deref().unwrap_or_default();
            let mut columns = BTreeMap::new();
            for (name, place, dtype) in csv.typed(names)? {
                let column = Column { csv: &csv, name, place, rows: std::slice::from_ref(&row) };
                columns.insert(name.clone(), column.of(dtype)?.squeeze([0])?);
            }
            T::from_tree(map(columns))
        });
        let Records { rows: rest, names: known, .. } = records;
        (rows, names) = (Some(rest), known);
        Some(element)
    }))
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
