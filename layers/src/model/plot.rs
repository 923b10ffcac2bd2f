//! Pictures of models.

mod dot;
mod layout;
mod svg;

use super::functional::Functional;
use super::graph::{Kind, Masked, Source, What};
use super::inline::{within, within_layer, within_place};
use crate::library::Sequential;
use modulor::module::{Module, ModuleExt};
use modulor::{Error, Feed, Layer, Result, Shape, Spec, Structure, Tensor, Tree};
use std::any::Any;

/// A picture of a model: Keras's `plot_model`.
///
/// Every call of a layer is a box with its name, class and shapes, inputs above; boxes of one layer say so. As SVG it is a
/// picture as it stands, as text in the language DOT it is one for Graphviz.
///
/// ```
/// use modulor::Call;
/// use modulor_layers::library::{Dense, add};
/// use modulor_layers::model::{Input, Model, plot_model};
/// # fn main() -> modulor::Result<()> {
/// let x = Input::new([3]);
/// let model = Model::new(&x, &add([&x, &Dense::new(3).call(&x)?])?)?;
/// let picture = plot_model(&model)?;
/// assert!(picture.to_svg().starts_with("<svg "));
/// assert!(picture.show_dtypes(true).to_dot().contains("dense"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`to_svg` and `to_dot` give the picture"]
pub struct Plot {
    diagram: Diagram,
    ways: Ways,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
struct Ways {
    shapes: bool,
    dtypes: bool,
    names: bool,
    expands: bool,
}

/// A model as boxes and lines between them.
#[derive(Clone, Debug, Default)]
struct Diagram {
    title: String,
    boxes: Vec<Item>,
    /// From a box to a box, each once.
    lines: Vec<(usize, usize)>,
    /// The boxes of the inputs and the outputs.
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// What a box is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Input,
    /// A layer with weights.
    Weighted,
    /// A layer without.
    Plain,
    Operation,
}

/// One call of a layer.
#[derive(Clone, Debug)]
struct Item {
    name: String,
    class_name: String,
    sort: Sort,
    /// Which call of how many it is.
    call: (usize, usize),
    takes: Vec<Spec>,
    gives: Vec<Spec>,
    /// What is in it, for a model.
    inner: Option<Box<Diagram>>,
}

/// A picture of a [`Model`](super::Model) or of a [`Sequential`].
///
/// Fails for other modules: what calls what in them is in their code alone, and [`plot_model_on`] asks it.
pub fn plot_model(model: &(impl Module + ?Sized)) -> Result<Plot> {
    let diagram = Diagram::of(model.as_module(), model.default_name()).ok_or_else(|| {
        let class = model.class_name();
        let message =
            format!("what calls what in a `{class}` is not known: a picture is of a `Model` or a `Sequential`");
        Error::invalid_argument(message).note("`plot_model_on` takes an input, and shows what is called on it")
    })?;
    Ok(Plot::of(diagram))
}

/// A picture of what any layer calls where it is called on `x`: on symbols, as `&Input::new([3])`, or on tensors, of which only
/// dtypes and shapes count. Layers have the names of their fields.
///
/// ```
/// use modulor::{Call, Layer, Module, Result, Tensor};
/// use modulor_layers::library::Dense;
/// use modulor_layers::model::{Input, plot_model_on};
///
/// #[derive(Module)]
/// struct Residual {
///     up: Dense,
///     down: Dense,
/// }
///
/// impl Layer for Residual {
///     fn forward(&self, x: &Tensor) -> Result<Tensor> {
///         self.down.call(&self.up.call(x)?)?.add(x)
///     }
/// }
///
/// let residual = Residual { up: Dense::new(8), down: Dense::new(4) };
/// let picture = plot_model_on(&residual, &Input::new([4]))?.to_svg();
/// assert!(picture.contains(">up<") && picture.contains("None×4 → None×8"));
/// # Ok::<(), modulor::Error>(())
/// ```
///
/// # Errors
///
/// As [`summary_on`](super::Summarize::summary_on).
pub fn plot_model_on<In: Structure, Out: Structure>(
    model: &(impl Layer<In, Out> + ?Sized),
    x: impl Feed<In>,
) -> Result<Plot> {
    let Some(calls) = within(model, x)? else { return plot_model(model) };
    let mut diagram = Diagram::of_functional(&calls);
    diagram.title = model.default_name().to_owned();
    Ok(Plot::of(diagram))
}

impl Plot {
    fn of(diagram: Diagram) -> Plot {
        Plot { diagram, ways: Ways { shapes: true, dtypes: false, names: true, expands: true } }
    }

    /// With the shapes of what layers take and give; they are shown unless this says no.
    pub fn show_shapes(mut self, shows: bool) -> Plot {
        self.ways.shapes = shows;
        self
    }

    /// With the dtypes of what layers give.
    pub fn show_dtypes(mut self, shows: bool) -> Plot {
        self.ways.dtypes = shows;
        self
    }

    /// With the names of layers, and not their classes alone; they are shown unless this says no.
    pub fn show_names(mut self, shows: bool) -> Plot {
        self.ways.names = shows;
        self
    }

    /// With the layers of models that are layers in their boxes; they are shown unless this says no.
    pub fn expand_nested(mut self, expands: bool) -> Plot {
        self.ways.expands = expands;
        self
    }

    /// The picture as SVG.
    pub fn to_svg(&self) -> String {
        svg::write(&self.diagram, self.ways)
    }

    /// The picture in the language DOT.
    pub fn to_dot(&self) -> String {
        dot::write(&self.diagram, self.ways)
    }
}

impl Item {
    /// The lines of its text: what it is called, what it is, and what it takes and gives.
    fn text(&self, ways: Ways) -> Vec<String> {
        let mut lines = Vec::new();
        if ways.names {
            lines.push(self.name.clone());
        }
        let mut class = self.class_name.clone();
        if let (Some(spec), true) = (self.gives.first(), ways.dtypes) {
            class = format!("{class} · {}", spec.dtype);
        }
        if self.call.1 > 1 {
            class = format!("{class} · call {} of {}", self.call.0, self.call.1);
        }
        lines.push(class);
        if ways.shapes {
            // Each shape once: a layer of attention takes three of one.
            let said = |specs: &[Spec]| {
                let mut shapes: Vec<String> = Vec::new();
                for shape in specs.iter().map(|spec| shape(&spec.shape)) {
                    if !shapes.contains(&shape) {
                        shapes.push(shape);
                    }
                }
                shapes.join(", ")
            };
            let gives = said(&self.gives);
            match self.sort {
                _ if self.gives.is_empty() => {}
                Sort::Input => lines.push(gives),
                _ => lines.push(format!("{} → {gives}", said(&self.takes))),
            }
        }
        lines
    }
}

/// `None×3`
fn shape(shape: &Shape) -> String {
    let dim = |dim: Option<usize>| dim.map_or("None".to_owned(), |dim| dim.to_string());
    match shape.dims() {
        Some(dims) if dims.is_empty() => "scalar".to_owned(),
        Some(dims) => dims.into_iter().map(dim).collect::<Vec<_>>().join("×"),
        None => "?".to_owned(),
    }
}

impl Diagram {
    fn of(module: &dyn Module, name: &str) -> Option<Diagram> {
        let any = module.as_module() as &dyn Any;
        let mut diagram = match (any.downcast_ref::<Functional>(), any.downcast_ref::<Sequential>()) {
            (Some(model), _) => Diagram::of_functional(model),
            (_, Some(model)) => Diagram::of_sequential(model),
            _ => return None,
        };
        diagram.title = name.to_owned();
        Some(diagram)
    }

    /// What is in a layer: it is a model, or its calls are known.
    fn within(layer: &dyn Module, calls: Option<Functional>, name: &str) -> Option<Box<Diagram>> {
        let mut diagram = match calls {
            Some(calls) => Diagram::of_functional(&calls),
            None => Diagram::of(layer, name)?,
        };
        diagram.title = name.to_owned();
        Some(Box::new(diagram))
    }

    fn of_functional(model: &Functional) -> Diagram {
        let graph = &model.network.graph;
        let mut diagram = Diagram::default();
        // Specs of what each step gives; behind the results are their masks.
        let gives: Vec<Vec<Spec>> = (0..graph.steps.len())
            .map(|at| {
                let place = &graph.places[graph.steps[at].place];
                let call = place.steps.iter().position(|&other| other == at).unwrap_or_default();
                let leaves = place.results.get(call).map(Tree::leaves).unwrap_or_default();
                let masks: Vec<Spec> = leaves.iter().filter_map(Tensor::mask).map(|mask| mask.spec().clone()).collect();
                leaves.iter().map(|leaf| leaf.spec().clone()).chain(masks).collect()
            })
            .collect();
        for (at, step) in graph.steps.iter().enumerate() {
            let place = &graph.places[step.place];
            let call = place.steps.iter().position(|&other| other == at).unwrap_or_default();
            let count = place.results.get(call).map_or(0, |results| results.leaves().len());
            let mut takes = Vec::new();
            for source in &step.inputs {
                let mut next = Some(source);
                while let Some(Source::Made { step: from, output, mask }) = next {
                    diagram.connect(*from, at);
                    next = None;
                    if let Masked::By(mask) = mask {
                        next = Some(mask);
                    }
                    takes.extend(gives[*from].get(*output).cloned());
                }
            }
            let module = place.module();
            let sort = match (&place.what, module) {
                (What::Input(_), _) => Sort::Input,
                (What::Op(_), _) => Sort::Operation,
                (What::Layer(_), Some(module)) if !module.weights().is_empty() => Sort::Weighted,
                (What::Layer(_), _) => Sort::Plain,
            };
            if matches!(step.kind, Kind::Input) {
                diagram.inputs.push(at);
            }
            diagram.boxes.push(Item {
                name: place.name().to_owned(),
                class_name: place.class_name().to_owned(),
                sort,
                call: (call + 1, place.steps.len()),
                takes,
                gives: gives[at][..count].to_vec(),
                inner: module.and_then(|module| Diagram::within(module, within_place(place, call), place.name())),
            });
        }
        for source in &graph.results {
            if let Source::Made { step, .. } = source
                && !diagram.outputs.contains(step)
            {
                diagram.outputs.push(*step);
            }
        }
        diagram
    }

    fn of_sequential(model: &Sequential) -> Diagram {
        let mut diagram = Diagram::default();
        let mut before: Vec<Spec> = model.input_spec().cloned().into_iter().collect();
        if let Some(spec) = model.input_spec() {
            diagram.boxes.push(Item {
                name: "input_layer".to_owned(),
                class_name: "InputLayer".to_owned(),
                sort: Sort::Input,
                call: (1, 1),
                takes: Vec::new(),
                gives: vec![spec.clone()],
                inner: None,
            });
        }
        let mut outputs = model.outputs().into_iter();
        for (name, layer) in model.names().iter().zip(model.layers()) {
            let gives: Vec<Spec> = outputs.next().map(|output| output.spec().clone()).into_iter().collect();
            let at = diagram.boxes.len();
            if at > 0 {
                diagram.connect(at - 1, at);
            }
            let calls = before.first().and_then(|before| within_layer(&**layer, before));
            diagram.boxes.push(Item {
                name: name.clone(),
                class_name: layer.class_name().to_owned(),
                sort: if layer.weights().is_empty() { Sort::Plain } else { Sort::Weighted },
                call: (1, 1),
                takes: std::mem::replace(&mut before, gives.clone()),
                gives,
                inner: Diagram::within(layer.as_module(), calls, name),
            });
        }
        diagram.inputs = vec![0];
        diagram.outputs = vec![diagram.boxes.len().saturating_sub(1)];
        diagram
    }

    fn connect(&mut self, from: usize, to: usize) {
        if !self.lines.contains(&(from, to)) {
            self.lines.push((from, to));
        }
    }
}
