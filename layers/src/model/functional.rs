//! Models out of symbols.

use super::config;
use super::graph::{Graph, Place, Source, What};
use super::run::Schedule;
use crate::library::admitted;
use modulor::layer::AnyLayer;
use modulor::module::{
    Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, name, object, read_object, reading, writing,
};
use modulor::registry::class::{Alias, Entry};
use modulor::{Error, Layer, Refs, Result, Structure, Tensor, Tree, nearest};
use serde_json::Value;
use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A model from inputs to what was made of them by layers and operations: Keras's functional API.
///
/// Layers are called on symbols, which [`Input`](super::Input) makes; operators and operations may stand between them. The
/// model holds the layers: they, and other models with the same ones, have the same variables. It is a layer in its turn,
/// and what it takes and gives has the structures that it is made with.
///
/// ```
/// use modulor::{Call, ModuleExt, Tensor};
/// use modulor_layers::library::{Dense, concatenate};
/// use modulor_layers::model::{Input, Model};
/// # fn main() -> modulor::Result<()> {
/// let (a, b) = (Input::new([3]), Input::new([2]));
/// let shared = Dense::new(4);
/// let x = Dense::new(3).call(&b)?;
/// let both = concatenate([&shared.call(&a)?, &shared.call(&x)?], -1)?;
/// let score = Dense::new(1).call(&(both * 2.0).relu()?)?;
/// let model = Model::new((&a, &b), &score)?;
///
/// let (a, b) = (Tensor::from([[1.0_f32, 2.0, 3.0]]), Tensor::from([[4.0_f32, 5.0]]));
/// assert_eq!(*model.call((&a, &b))?.shape(), [1, 1]);
/// assert_eq!(model.weights().len(), 6);
/// let names: Vec<&str> = model.layers().map(|layer| layer.name()).collect();
/// assert_eq!(
///     names,
///     ["input_layer_1", "input_layer", "dense", "dense_1", "concatenate", "multiply", "relu", "dense_2"]
/// );
/// # Ok(())
/// # }
/// ```
pub struct Model<In: Structure = Tensor, Out: Structure = Tensor> {
    functional: Functional,
    structures: PhantomData<fn(&In) -> Out>,
}

/// What a [`Model`] is whatever its structures: the layers and the calls between them.
///
/// As a layer it takes and gives trees.
pub struct Functional {
    pub(super) network: Arc<Network>,
}

pub(super) struct Network {
    pub graph: Graph,
    schedule: Schedule,
}

impl<In: Structure, Out: Structure> Model<In, Out> {
    /// A model from `inputs` to `outputs`: `&x`, `(&a, &b)`, `[&a, &b]`, `&vec` or a reference to a structure.
    ///
    /// Layers are named in it as Keras does: by the name that one was [given](modulor::NameLayer::named), or else `dense`,
    /// `dense_1`, .. in the order of their first calls. An inner tensor of another model may be an input.
    ///
    /// Fails where an output does not follow from the inputs, and says which one is missing; where an input is no symbol or
    /// stands there twice; and where two layers were given one name.
    pub fn new(inputs: impl Refs<Owned = In>, outputs: impl Refs<Owned = Out>) -> Result<Self> {
        let functional = Functional::new(inputs.owned().to_tree(), outputs.owned().to_tree())?;
        let model = Model { functional, structures: PhantomData };
        name::stamp(&model, &name::unique(model.default_name()));
        Ok(model)
    }

    /// This model, with the same layers, from and to other structures of the same tensors.
    ///
    /// Fails where the inputs or the outputs are not such a structure.
    pub fn typed<I: Structure, O: Structure>(&self) -> Result<Model<I, O>> {
        let (inputs, outputs) = (&self.functional.network.graph.inputs, &self.functional.network.graph.outputs);
        I::from_tree(inputs.clone()).map_err(|error| error.note("the structure is that of the model's inputs"))?;
        O::from_tree(outputs.clone()).map_err(|error| error.note("the structure is that of the model's outputs"))?;
        Ok(Model { functional: self.functional.share(), structures: PhantomData })
    }

    /// The inputs, as symbols.
    pub fn inputs(&self) -> Result<In> {
        In::from_tree(self.functional.network.graph.inputs.clone())
    }

    /// The outputs, as symbols that other models can be made of.
    pub fn outputs(&self) -> Result<Out> {
        Out::from_tree(self.functional.network.graph.outputs.clone())
    }

    /// The name of the layer, operation or input that each output comes from, which losses and metrics are given by.
    pub fn output_names(&self) -> Vec<String> {
        self.functional.output_names()
    }

    /// The layers, operations and inputs, in Keras's order: those come first from which the way to the outputs is longest.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &Place> {
        self.functional.layers()
    }

    /// The layer, operation or input of this name.
    pub fn get_layer(&self, name: &str) -> Result<&Place> {
        self.functional.get_layer(name)
    }

    /// The layer, operation or input at this place among the [`layers`](Model::layers).
    pub fn get_layer_at(&self, index: usize) -> Result<&Place> {
        self.functional.get_layer_at(index)
    }
}

impl Functional {
    pub(super) fn new(inputs: Tree, outputs: Tree) -> Result<Functional> {
        let graph = Graph::new(inputs, outputs)?;
        let schedule = Schedule::of(&graph);
        Ok(Functional { network: Arc::new(Network { graph, schedule }) })
    }

    /// As [`Model::layers`].
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &Place> {
        self.network.graph.places.iter()
    }

    /// As [`Model::get_layer`].
    pub fn get_layer(&self, name: &str) -> Result<&Place> {
        self.layers().find(|place| place.name() == name).ok_or_else(|| {
            let known = nearest::suggestion(name, self.layers().map(Place::name));
            Error::not_found(format!("no layer of the model is called `{name}`; {known}"))
        })
    }

    /// As [`Model::get_layer_at`].
    pub fn get_layer_at(&self, index: usize) -> Result<&Place> {
        let count = self.layers().len();
        let missing = || Error::not_found(format!("there is no layer {index}: the model has {count}"));
        self.layers().nth(index).ok_or_else(missing)
    }

    /// The inputs, as symbols.
    pub fn inputs(&self) -> &Tree {
        &self.network.graph.inputs
    }

    /// The outputs, as symbols.
    pub fn outputs(&self) -> &Tree {
        &self.network.graph.outputs
    }

    /// As [`Model::output_names`].
    pub fn output_names(&self) -> Vec<String> {
        let graph = &self.network.graph;
        let names = graph.results.iter().map(|result| match result {
            Source::Made { step, .. } => graph.places[graph.steps[*step].place].name().to_owned(),
            Source::Value(_) => String::new(),
        });
        names.collect()
    }

    /// Computes the outputs.
    fn run(&self, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let fed = self.network.graph.inputs.leaves();
        if x.len() != fed.len() {
            let message = format!("the model takes {} tensors, and {} were given", fed.len(), x.len());
            return Err(Error::invalid_argument(message));
        }
        let x = x.into_iter().zip(&fed).enumerate();
        let x = x.map(|(index, (x, symbol))| {
            admitted(x, symbol.spec()).map_err(|error| error.within(self.input_name(index)))
        });
        let x = x.collect::<Result<Vec<_>>>()?;
        self.network.schedule.run(&self.network.graph, x)
    }

    fn input_name(&self, index: usize) -> &str {
        let place = self.network.graph.steps.get(index).map(|step| &self.network.graph.places[step.place]);
        place.map_or("", Place::name)
    }
}

impl<In: Structure, Out: Structure> Layer<In, Out> for Model<In, Out> {
    fn forward(&self, x: &In) -> Result<Out> {
        let x = x.to_tree().leaves();
        let mut results = self.functional.run(x)?.into_iter();
        let missing = || Error::internal("a model gives as many tensors as it was made with");
        let outputs = &self.functional.network.graph.outputs;
        Out::from_tree(outputs.map(&mut |_| results.next().ok_or_else(missing))?)
    }
}

impl Layer<Tree, Tree> for Functional {
    fn forward(&self, x: &Tree) -> Result<Tree> {
        self.network.graph.outputs.with_leaves(self.run(x.leaves())?)
    }
}

impl<In: Structure, Out: Structure> Track for Model<In, Out> {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        self.functional.track(name, visitor);
    }

    fn share(&self) -> Self {
        Model { functional: self.functional.share(), structures: PhantomData }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        self.functional.field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("Functional", config)
    }
}

/// All of a model's is its functional's, so that models of other structures with the same layers are the same module.
impl<In: Structure, Out: Structure> Module for Model<In, Out> {
    fn as_module(&self) -> &dyn Module {
        &self.functional
    }

    fn class_name(&self) -> &str {
        "Functional"
    }

    fn default_name(&self) -> &str {
        "functional"
    }

    fn package(&self) -> &str {
        self.functional.package()
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        self.functional.fields(visitor);
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        self.functional.config()
    }
}

impl<In: Structure, Out: Structure> FromConfig for Model<In, Out> {
    fn from_config(config: &Config) -> Result<Self> {
        Model::<Tree, Tree> { functional: Functional::from_config(config)?, structures: PhantomData }.typed()
    }
}

impl Track for Functional {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Functional { network: self.network.clone() }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        read_object("Functional", config)
    }
}

impl Module for Functional {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "Functional"
    }

    fn default_name(&self) -> &str {
        "functional"
    }

    fn package(&self) -> &str {
        "keras.src.models.functional"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        for place in self.layers() {
            if let What::Layer(layer) = &place.what {
                layer.layer().track(&place.name().replace('.', ".."), visitor);
            }
        }
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        modulor::module::write(self, 1, &mut |config| {
            // Each layer has its own.
            config.remove("dtype");
            config::write(&self.network.graph, config)
        })
    }
}

impl FromConfig for Functional {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "Functional", version: 1, migrate: None };
        const KEYS: &[&str] = &["layers", "input_layers", "output_layers"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let (inputs, outputs) = config::read(config)?;
        let model = SCHEMA.close(Functional::new(inputs, outputs)?, config, KEYS)?;
        name::stamp(&model, &name::unique(model.default_name()));
        Ok(model)
    }
}

/// A model with the same layers and other variables, whose values are drawn anew: Keras's `clone_model`.
///
/// [`copy`](modulor::ModuleExt::copy) makes one with the same values. Fails where the config of a layer cannot be written or
/// read again.
///
/// ```
/// use modulor::{Call, ModuleExt};
/// use modulor_layers::library::Dense;
/// use modulor_layers::model::{Input, Model, clone_model};
/// # fn main() -> modulor::Result<()> {
/// let x = Input::new([3]);
/// let model = Model::new(&x, &Dense::new(2).call(&x)?)?;
/// let other = clone_model(&model)?;
/// assert_eq!(other.count_params(), 8);
/// assert_ne!(other.variables()[0].id(), model.variables()[0].id());
/// # Ok(())
/// # }
/// ```
pub fn clone_model<M: Module>(model: &M) -> Result<M> {
    let config = writing(model.as_module(), || model.field_config())?;
    reading(|| M::from_field(config.as_ref()))
}

/// A layer of the structures that its inputs and outputs have: tensors, lists of them, or else trees.
fn make_layer(object: &Value) -> Result<Box<dyn Any>> {
    let functional: Functional = read_object("Functional", Some(object))?;
    let model = Model::<Tree, Tree> { functional, structures: PhantomData };
    fn to<In: Structure>(model: &Model<Tree, Tree>) -> Result<AnyLayer> {
        match model.functional.outputs() {
            Tree::Leaf(_) => model.typed::<In, Tensor>().map(AnyLayer::of),
            Tree::List(parts) if parts.iter().all(is_leaf) => model.typed::<In, Vec<Tensor>>().map(AnyLayer::of),
            _ => model.typed::<In, Tree>().map(AnyLayer::of),
        }
    }
    let layer = match model.functional.inputs() {
        Tree::Leaf(_) => to::<Tensor>(&model),
        Tree::List(parts) if parts.iter().all(is_leaf) => to::<Vec<Tensor>>(&model),
        _ => to::<Tree>(&model),
    };
    Ok(Box::new(layer?))
}

fn is_leaf(tree: &Tree) -> bool {
    matches!(tree, Tree::Leaf(_))
}

inventory::submit! {
    Entry {
        package: "keras.src.models.functional",
        class: "Functional",
        source: concat!(module_path!(), "::Functional"),
        type_id: TypeId::of::<Functional>,
        module: |object| {
            let module: Box<dyn Module> = Box::new(read_object::<Functional>("Functional", Some(object))?);
            Ok(Box::new(module))
        },
        layer: || Some(make_layer),
    }
}

inventory::submit! {
    // What files of a subclass without fields say.
    Alias { package: "keras.src.models.functional", class: "Functional", other: "Model" }
}

/// The layers by name and class, as in `Functional { input_layer: InputLayer, dense: Dense }`.
impl fmt::Debug for Functional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut short = f.debug_struct("Functional");
        for place in self.layers() {
            short.field(place.name(), &format_args!("{}", place.class_name()));
        }
        short.finish()
    }
}

impl<In: Structure, Out: Structure> fmt::Debug for Model<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.functional.fmt(f)
    }
}
