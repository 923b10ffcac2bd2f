//! A model as a table.

mod table;

use super::functional::Functional;
use super::graph::{Kind, Masked, Place, Source, What};
use super::inline::{is_own, within, within_layer, within_place};
use crate::library::Sequential;
use modulor::module::{Held, Module, ModuleExt, Visitor, walk};
use modulor::{Feed, Layer, Result, Shape, Structure, Tensor, Tree, Variable};
use std::any::Any;
use std::fmt;
use table::{Align, Table};

/// Tables of modules.
pub trait Summarize: Module {
    /// A table of the layers with their shapes and numbers of parameters, as Keras prints it.
    ///
    /// Of a model made of symbols and of a [`Sequential`] it has the shapes of what the layers give, as far as they are known;
    /// of any other module it has the modules that it holds, without shapes: [`summary_on`](Summarize::summary_on) has them.
    ///
    /// ```
    /// use modulor_layers::library::Dense;
    /// use modulor_layers::model::{Input, Model, Summarize};
    /// use modulor::Call;
    /// # fn main() -> modulor::Result<()> {
    /// let x = Input::new([3]);
    /// let model = Model::new(&x, &Dense::new(2).call(&Dense::new(3).call(&x)?)?)?;
    /// assert_eq!(
    ///     model.summary().line_length(62).to_string(),
    ///     "Model: \"functional\"\n\
    ///      ┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┓\n\
    ///      ┃ Layer (type)             ┃ Output Shape       ┃    Param # ┃\n\
    ///      ┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━┩\n\
    ///      │ input_layer (InputLayer) │ (None, 3)          │          0 │\n\
    ///      ├──────────────────────────┼────────────────────┼────────────┤\n\
    ///      │ dense (Dense)            │ (None, 3)          │         12 │\n\
    ///      ├──────────────────────────┼────────────────────┼────────────┤\n\
    ///      │ dense_1 (Dense)          │ (None, 2)          │          8 │\n\
    ///      └──────────────────────────┴────────────────────┴────────────┘\n \
    ///       Total params: 20 (80.00 B)\n \
    ///       Trainable params: 20 (80.00 B)\n \
    ///       Non-trainable params: 0 (0.00 B)\n"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    fn summary(&self) -> Summary {
        Summary::of(self.as_module(), self.default_name(), None)
    }

    /// The same with the shapes of what the layers give where this one is called on `x`: on a symbol, as `&Input::new([3])`, or
    /// on tensors, of which only dtypes and shapes count.
    ///
    /// It gives the variables their shapes, as a call does, and computes nothing. A layer that is not called has no shape, and of
    /// one that is called several times it is the last that is shown, as in Keras. Other than there, layers of one's own have
    /// their shapes too.
    ///
    /// ```
    /// use modulor::{Call, Layer, Module, Result, Tensor};
    /// use modulor_layers::library::Dense;
    /// use modulor_layers::model::{Input, Summarize};
    ///
    /// #[derive(Module)]
    /// struct Classifier {
    ///     hidden: Dense,
    ///     head: Dense,
    /// }
    ///
    /// impl Layer for Classifier {
    ///     fn forward(&self, x: &Tensor) -> Result<Tensor> {
    ///         self.head.call(&self.hidden.call(x)?.relu()?)
    ///     }
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// let model = Classifier { hidden: Dense::new(3), head: Dense::new(2) };
    /// assert_eq!(
    ///     model.summary_on(&Input::new([4]))?.line_length(62).to_string(),
    ///     "Model: \"classifier\"\n\
    ///      ┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┓\n\
    ///      ┃ Layer (type)             ┃ Output Shape       ┃    Param # ┃\n\
    ///      ┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━┩\n\
    ///      │ hidden (Dense)           │ (None, 3)          │         15 │\n\
    ///      ├──────────────────────────┼────────────────────┼────────────┤\n\
    ///      │ head (Dense)             │ (None, 2)          │          8 │\n\
    ///      └──────────────────────────┴────────────────────┴────────────┘\n \
    ///       Total params: 23 (92.00 B)\n \
    ///       Trainable params: 23 (92.00 B)\n \
    ///       Non-trainable params: 0 (0.00 B)\n"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the call, and where the calls within are not to be seen: `forward` looks at the values of tensors, or at variables
    /// of its own that have none before the first call.
    fn summary_on<In: Structure, Out: Structure>(&self, x: impl Feed<In>) -> Result<Summary>
    where
        Self: Layer<In, Out>,
    {
        let calls = within(self, x)?;
        Ok(Summary::of(self.as_module(), self.default_name(), calls.as_ref()))
    }
}

impl<M: Module + ?Sized> Summarize for M {}

/// A table of the layers of a model: what it shows is as it was when it was made.
#[derive(Clone, Debug)]
#[must_use = "a summary is shown by printing it"]
pub struct Summary {
    name: String,
    rows: Vec<Row>,
    is_chain: bool,
    trainable: Weights,
    frozen: Weights,
    optimizer: Option<Weights>,
    line_length: Option<usize>,
    expands: bool,
    shows_trainable: bool,
}

/// A layer in a [`Summary`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// In how many models it is, within the one that is shown.
    pub depth: usize,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class_name: String,
    /// The shapes of what it gives; none where they are not known.
    pub output_shapes: Vec<Shape>,
    /// The number of its parameters.
    pub params: usize,
    /// Whether its parameters have their shapes.
    pub is_built: bool,
    /// Whether it is trained; nothing for one without weights.
    pub trainable: Option<bool>,
    /// What it is called on: names of layers, which call of each, and which output.
    pub connected_to: Vec<(String, usize, usize)>,
}

/// How much there is of some variables.
#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    count: usize,
    bytes: usize,
}

impl Weights {
    fn of(variables: impl IntoIterator<Item = Variable>) -> Weights {
        let mut weights = Weights::default();
        for variable in variables {
            let count: usize = variable.shape().map_or(0, |shape| shape.iter().product());
            weights.count += count;
            weights.bytes += count * variable.dtype().size();
        }
        weights
    }

    fn and(self, other: Weights) -> Weights {
        Weights { count: self.count + other.count, bytes: self.bytes + other.bytes }
    }
}

/// `20 (80.00 B)`
impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut size, mut unit) = (self.bytes as f64, "B");
        for larger in ["KB", "MB", "GB", "TB", "PB"] {
            if size < 1024.0 {
                break;
            }
            (size, unit) = (size / 1024.0, larger);
        }
        write!(f, "{} ({size:.2} {unit})", grouped(self.count))
    }
}

/// `1,234,567`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl Summary {
    fn of(module: &dyn Module, name: &str, calls: Option<&Functional>) -> Summary {
        let mut rows = Vec::new();
        let is_chain = add_rows(module, calls, 0, &mut rows);
        let (trained, other): (Vec<_>, Vec<_>) = module.weights().into_iter().partition(Variable::trainable);
        Summary {
            name: name.to_owned(),
            rows,
            is_chain,
            trainable: Weights::of(trained),
            frozen: Weights::of(other),
            optimizer: None,
            line_length: None,
            expands: false,
            shows_trainable: false,
        }
    }

    /// With the layers of models that are layers, below these.
    pub fn expand_nested(mut self, expands: bool) -> Summary {
        self.expands = expands;
        self
    }

    /// With a column that says which layers are trained.
    pub fn show_trainable(mut self, shows: bool) -> Summary {
        self.shows_trainable = shows;
        self
    }

    /// In lines of this length; otherwise they are as long as Keras's, or as the terminal allows: the variable `COLUMNS` says
    /// how wide it is, or else the terminal itself, or else 80 columns are taken for it.
    pub fn line_length(mut self, characters: usize) -> Summary {
        self.line_length = Some(characters);
        self
    }

    /// With what an optimizer remembers among the totals.
    pub fn optimizer(mut self, optimizer: &(impl Module + ?Sized)) -> Summary {
        self.optimizer = Some(Weights::of(optimizer.variables()));
        self
    }

    /// The layers; those of nested models stand behind these, whether they are shown or not.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The number of all parameters, those of the optimizer included.
    pub fn total_params(&self) -> usize {
        self.total().count
    }

    /// The number of parameters that are trained.
    pub fn trainable_params(&self) -> usize {
        self.trainable.count
    }

    /// The number of parameters that are not trained.
    pub fn non_trainable_params(&self) -> usize {
        self.frozen.count
    }

    fn total(&self) -> Weights {
        self.trainable.and(self.frozen).and(self.optimizer.unwrap_or_default())
    }

    fn table(&self) -> Table {
        let mut columns = match self.is_chain {
            true => vec![("Layer (type)", Align::Left), ("Output Shape", Align::Left), ("Param #", Align::Right)],
            false => vec![
                ("Layer (type)", Align::Left),
                ("Output Shape", Align::Left),
                ("Param #", Align::Right),
                ("Connected to", Align::Left),
            ],
        };
        let mut ends = if self.is_chain { vec![0.45, 0.8, 1.0] } else { vec![0.3, 0.56, 0.74, 1.0] };
        let mut length = if self.is_chain { 88 } else { 108 };
        if self.shows_trainable {
            columns.push(("Trainable", Align::Center));
            ends.iter_mut().for_each(|end| *end *= 0.9);
            ends.push(1.0);
            length += 12;
        }
        let length = self.line_length.unwrap_or_else(|| length.min(terminal_width().saturating_sub(4)));
        let mut table = Table::new(&columns, &ends, length);
        for row in self.rows.iter().filter(|row| self.expands || row.depth == 0) {
            table.row(self.cells(row));
        }
        table
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let nested = if row.depth > 0 { format!("{}└ ", "   ".repeat(row.depth)) } else { String::new() };
        let mut cells = vec![
            format!("{nested}{} ({})", row.name, row.class_name),
            said(&row.output_shapes),
            if row.is_built { grouped(row.params) } else { format!("{} (unbuilt)", row.params) },
        ];
        if !self.is_chain {
            let connected: Vec<String> =
                row.connected_to.iter().map(|(name, i, j)| format!("{name}[{i}][{j}]")).collect();
            cells.push(if connected.is_empty() { "-".to_owned() } else { connected.join(", ") });
        }
        if self.shows_trainable {
            cells.push(row.trainable.map_or("-", |trainable| if trainable { "Y" } else { "N" }).to_owned());
        }
        cells
    }
}

/// How many columns there are to write in.
fn terminal_width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    said.or_else(terminal).filter(|&columns| columns > 0).unwrap_or(80)
}

/// `(None, 3)`, `[(None, 3), (None, 2)]`, or `?`.
fn said(shapes: &[Shape]) -> String {
    match shapes {
        [] => "?".to_owned(),
        [shape] => keras_shape(shape),
        shapes => format!("[{}]", shapes.iter().map(keras_shape).collect::<Vec<_>>().join(", ")),
    }
}

/// Without the comma that stands after a single dim.
fn keras_shape(shape: &Shape) -> String {
    let dim = |dim: Option<usize>| dim.map_or("None".to_owned(), |dim| dim.to_string());
    match shape.dims() {
        Some(dims) => format!("({})", dims.into_iter().map(dim).collect::<Vec<_>>().join(", ")),
        None => "?".to_owned(),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Model: \"{}\"", self.name)?;
        write!(f, "{}", self.table())?;
        writeln!(f, " Total params: {}", self.total())?;
        writeln!(f, " Trainable params: {}", self.trainable)?;
        writeln!(f, " Non-trainable params: {}", self.frozen)?;
        if let Some(optimizer) = &self.optimizer {
            writeln!(f, " Optimizer params: {optimizer}")?;
        }
        Ok(())
    }
}

/// Adds what a module holds, with the calls within it, if it is one's own and they are known; whether each layer is called once,
/// on what the one before it gives.
fn add_rows(module: &dyn Module, calls: Option<&Functional>, depth: usize, rows: &mut Vec<Row>) -> bool {
    let any = module.as_module() as &dyn Any;
    if let Some(model) = any.downcast_ref::<Functional>() {
        for place in model.layers() {
            let shapes = place.outputs().last().map(Tree::leaves).unwrap_or_default();
            let row = row(place.module(), place.name(), place.class_name(), depth, shapes);
            rows.push(Row { connected_to: connections(model, place), ..row });
            if let Some(module) = place.module().filter(|_| !place.is_input()) {
                add_nested(module, within_last(place).as_ref(), depth, rows);
            }
        }
        return is_chain(model);
    }
    if let Some(model) = any.downcast_ref::<Sequential>() {
        let mut outputs = model.outputs().into_iter();
        let mut before = model.input_spec().cloned();
        for (name, layer) in model.names().iter().zip(model.layers()) {
            let output = outputs.next();
            let calls = before.and_then(|before| within_layer(&**layer, &before));
            before = output.as_ref().map(|output| output.spec().clone());
            let outputs = output.into_iter().collect();
            rows.push(row(Some(&**layer as &dyn Module), name, layer.class_name(), depth, outputs));
            add_nested(layer.as_module(), calls.as_ref(), depth, rows);
        }
        return true;
    }
    struct Rows<'r> {
        depth: usize,
        rows: &'r mut Vec<Row>,
        calls: Option<&'r Functional>,
    }
    impl Visitor for Rows<'_> {
        fn variable(&mut self, _: &str, _: &Variable) {}

        fn module(&mut self, name: &str, module: &dyn Module) {
            let is_it = |place: &&Place| matches!(&place.what, What::Layer(call) if call.place() == Some(name));
            // One without variables is another place for each of its calls.
            let place = self.calls.and_then(|calls| calls.layers().filter(is_it).last());
            let outputs = place.and_then(|place| place.outputs().last()).map(Tree::leaves).unwrap_or_default();
            let name = name.replace("..", ".");
            self.rows.push(row(Some(module), &name, module.class_name(), self.depth, outputs));
            add_nested(module, place.and_then(within_last).as_ref(), self.depth, self.rows);
        }

        fn held(&mut self, name: &str, module: &dyn Module, _: Held) {
            self.module(name, module);
        }
    }
    module.fields(&mut Rows { depth, rows, calls });
    true
}

/// Adds the layers of a model that is a layer: of a layer of the library what it holds is its own affair.
fn add_nested(module: &dyn Module, calls: Option<&Functional>, depth: usize, rows: &mut Vec<Row>) {
    let any = module.as_module() as &dyn Any;
    let is_model = any.is::<Functional>() || any.is::<Sequential>();
    if is_model || is_own(module) {
        let before = rows.len();
        add_rows(module, calls, depth + 1, rows);
        rows[before..].iter_mut().for_each(|row| row.connected_to.clear());
    }
}

/// The calls within the last call of a place.
fn within_last(place: &Place) -> Option<Functional> {
    within_place(place, place.outputs().len().saturating_sub(1))
}

fn row(module: Option<&dyn Module>, name: &str, class_name: &str, depth: usize, outputs: Vec<Tensor>) -> Row {
    let (mut any, mut trained, mut built) = (false, false, true);
    if let Some(module) = module {
        walk(module).each_variable(&mut |_, variable| {
            built &= variable.is_sized() || variable.declaration().is_none();
            if variable.is_weight() {
                any = true;
                trained |= !variable.is_frozen();
            }
        });
    }
    Row {
        depth,
        name: name.to_owned(),
        class_name: class_name.to_owned(),
        output_shapes: outputs.iter().map(|output| output.shape().clone()).collect(),
        params: module.map_or(0, |module| module.count_params()),
        is_built: built,
        trainable: any.then_some(trained),
        connected_to: Vec::new(),
    }
}

/// What all calls of a layer take.
fn connections(model: &Functional, place: &Place) -> Vec<(String, usize, usize)> {
    let graph = &model.network.graph;
    let mut found = Vec::new();
    for &step in &place.steps {
        for source in &graph.steps[step].inputs {
            let mut next = Some(source);
            // A mask that did not come with its tensor is taken as well.
            while let Some(Source::Made { step, output, mask }) = next {
                let from = &graph.places[graph.steps[*step].place];
                let call = from.steps.iter().position(|other| other == step).unwrap_or_default();
                found.push((from.name().to_owned(), call, *output));
                next = if let Masked::By(mask) = mask { Some(mask) } else { None };
            }
        }
    }
    found
}

/// Whether every step takes just what the one before it gives.
fn is_chain(model: &Functional) -> bool {
    let graph = &model.network.graph;
    let made = |source: &&Source| matches!(source, Source::Made { .. });
    let follows = |at: usize| {
        let mut sources = graph.steps[at].inputs.iter().filter(made);
        let first = sources.next();
        let own = |mask: &Masked| !matches!(mask, Masked::By(_));
        let before = |source: &Source| matches!(source, Source::Made { step, mask, .. } if step + 1 == at && own(mask));
        matches!(graph.steps[at].kind, Kind::Input) == (at == 0)
            && (at == 0 || first.is_some_and(before) && sources.next().is_none())
    };
    graph.places.len() == graph.steps.len() && (0..graph.steps.len()).all(follows)
}
