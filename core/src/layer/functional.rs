//! Calls of layers and operations on symbols, recorded: what models are made of.
//!
//! A symbol made by [`input`] stands for whatever a model is fed. The outermost call of a layer on it, or on what was made
//! of it, runs `forward` once on stand-ins, which gives the variables and the results their shapes, and records one
//! [`Recording`] that holds the layer; calls within that one are the layer's own affair. An operation on it is recorded as it is.

use super::{Layer, call};
use crate::module::{Held, Identity, Node as Holder, Site, Visitor, walk};
use crate::op::{Node, Op, Origin, scope};
use crate::structure::Part;
use crate::{Error, Module, Result, Spec, Structure, Tensor, Tree, Variable};
use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// A symbol of this dtype and, as far as it is known, shape, that stands for an input of models.
///
/// `about` is what [`Made::Input`] gives back.
pub fn input(spec: Spec, about: Arc<dyn Any + Send + Sync>) -> Tensor {
    Tensor::symbol(Node::new(Origin::Input(about), Vec::new(), vec![spec.clone()]), 0, spec)
}

/// What a layer gives for inputs of these dtypes and shapes: symbols of such tensors, of which nothing can be computed.
///
/// The variables get their shapes and no values. Symbols among the inputs stand for themselves, and values are seen as values.
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// use modulor::layer::infer;
/// use modulor::{DType, Layer, Module, Result, Spec, Tensor};
///
/// #[derive(Module)]
/// struct Doubled;
///
/// impl Layer for Doubled {
///     fn forward(&self, x: &Tensor) -> Result<Tensor> {
///         Tensor::concat(&[x.clone(), x.clone()], -1)
///     }
/// }
///
/// let y: Tensor = infer(&Doubled, &Tensor::placeholder(Spec::new(DType::F32, [None, Some(3)])))?;
/// assert_eq!(y.shape().to_string(), "(None, 6)");
/// # Ok::<(), modulor::Error>(())
/// ```
#[track_caller]
pub fn infer<In: Structure, Out: Structure>(layer: &(impl Layer<In, Out> + ?Sized), x: &In) -> Result<Out> {
    infer_at(layer, x, Location::caller())
}

fn infer_at<L, In, Out>(layer: &L, x: &In, caller: &'static Location<'static>) -> Result<Out>
where
    L: Layer<In, Out> + ?Sized,
    In: Structure,
    Out: Structure,
{
    let alone = |scopes: &mut scope::Scopes| {
        scopes.trace = Some(Arc::default());
        scopes.tapes.clear();
        scopes.losses = None;
        scopes.snapshot = None;
        scopes.holder = None;
    };
    scope::changed(alone, || call::run(layer, x, caller, false))
}

/// Whether a symbol of models is among the tensors.
pub(super) fn is_functional(x: &impl Structure) -> bool {
    let mut found = false;
    x.visit(&mut |part| found |= matches!(part, Part::Tensor(tensor) if tensor.is_functional()));
    found
}

/// Records the call of a layer on symbols.
pub(super) fn record<L, In, Out>(layer: &L, x: &In, caller: &'static Location<'static>) -> Result<Out>
where
    L: Layer<In, Out> + ?Sized,
    In: Structure,
    Out: Structure,
{
    let stand_in = |leaf: &Tensor| match leaf.is_functional() {
        false => leaf.clone(),
        true => {
            let mask = leaf.mask().map(|mask| Tensor::placeholder(mask.spec().clone()));
            Tensor::placeholder(leaf.spec().clone()).with_mask(mask)
        }
    };
    let result: Out = infer_at(layer, &x.replace(&mut |leaf| Ok(stand_in(leaf)))?, caller)?;

    let (mut specs, mut masks, mut mask_specs) = (Vec::new(), Vec::new(), Vec::new());
    let leaves = result.to_tree().leaves();
    for leaf in &leaves {
        specs.push(leaf.spec().clone());
        masks.push(leaf.mask().map(|mask| {
            mask_specs.push(mask.spec().clone());
            leaves.len() + mask_specs.len() - 1
        }));
    }
    specs.extend(mask_specs);
    // The structure without the tensors: a chain of calls is let go of by its nodes, one after the other.
    let nothing = Tensor::scalar(false);
    let structure = x.replace(&mut |_| Ok(nothing.clone()))?;
    let results = result.replace(&mut |_| Ok(nothing.clone()))?.to_tree();
    let place = scope::with(|scopes| scopes.holder.clone()).filter(|_| !scope::tracing());
    let find = |holder: &Holder| {
        let module = layer.as_module();
        holder.find(Site::of(module), Identity::of(module, None).as_ref())
    };
    let place = place.and_then(|holder| holder.downcast_ref::<Holder>().and_then(find));
    let call = Called { layer: layer.share_arc(), structure, results, masks: masks.clone(), place };
    let call: Arc<dyn Recorded> = Arc::new(call);
    let node = Node::new(Origin::Call(Arc::new(call)), x.to_tree().leaves(), specs);
    let symbols = node.outputs();
    let mut at = 0;
    result.replace(&mut |_| {
        at += 1;
        Ok(symbols[at - 1].with_mask(masks[at - 1].map(|mask| symbols[mask].clone())))
    })
}

/// A layer with the structure that it was called with.
pub trait Recorded: Send + Sync {
    /// The layer, with the name that it was given.
    fn layer(&self) -> &dyn Module;

    /// The structure of what it was called with; its tensors are in [`Recording::inputs`], in this order.
    fn structure(&self) -> Tree;

    /// The structure of the result; its tensors are the first of the [outputs](Recording::outputs).
    fn results(&self) -> &Tree;

    /// Which output is the mask of output `output`, if that has one.
    fn mask(&self, output: usize) -> Option<usize>;

    /// Where the layer is in the one whose [`inline`](Recorded::inline) recorded this, as `blocks/0`.
    fn place(&self) -> Option<&str>;

    /// Runs `forward` alone on symbols of models, so that the calls and operations in it are recorded, each with its
    /// [place](Recorded::place): the tensors of its result, in order.
    ///
    /// Fails where `forward` cannot take symbols, and where the layer has variables of its own without values yet.
    fn inline(&self, inputs: &mut dyn Iterator<Item = Tensor>) -> Result<Vec<Tensor>>;

    /// Calls the layer again: the tensors of its result, in order, each with its mask.
    fn call(&self, inputs: &mut dyn Iterator<Item = Tensor>) -> Result<Vec<Tensor>>;
}

struct Called<In: Structure, Out: Structure> {
    layer: Arc<dyn Layer<In, Out>>,
    structure: In,
    results: Tree,
    masks: Vec<Option<usize>>,
    place: Option<String>,
}

impl<In: Structure, Out: Structure> Called<In, Out> {
    /// What the layer is called with, out of these tensors.
    fn given(&self, inputs: &mut dyn Iterator<Item = Tensor>) -> Result<In> {
        let missing = || Error::internal("a recorded call has fewer inputs than it had");
        self.structure.replace(&mut |_| inputs.next().ok_or_else(missing))
    }
}

impl<In: Structure, Out: Structure> Recorded for Called<In, Out> {
    fn layer(&self) -> &dyn Module {
        &self.layer
    }

    fn structure(&self) -> Tree {
        self.structure.to_tree()
    }

    fn results(&self) -> &Tree {
        &self.results
    }

    fn mask(&self, output: usize) -> Option<usize> {
        self.masks.get(output).copied().flatten()
    }

    fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    fn inline(&self, inputs: &mut dyn Iterator<Item = Tensor>) -> Result<Vec<Tensor>> {
        /// The variables of a module itself.
        struct Own(Vec<Variable>);
        impl Visitor for Own {
            fn variable(&mut self, _: &str, variable: &Variable) {
                self.0.push(variable.clone());
            }
            fn module(&mut self, _: &str, _: &dyn Module) {}
        }
        let (x, module) = (self.given(inputs)?, self.layer.as_module());
        let mut own = Own(Vec::new());
        module.fields(&mut own);
        if let Some(variable) = own.0.iter().find(|variable| !variable.is_valued()) {
            let name = variable.name();
            return Err(Error::failed_precondition(format!("`{name}` has no value before the first call")));
        }
        let result = scope::changed(|scopes| scopes.holder = Some(walk(module)), || self.layer.forward(&x))?;
        let leaves = result.to_tree().leaves();
        leaves.iter().try_for_each(Tensor::check)?;
        Ok(leaves)
    }

    #[track_caller]
    fn call(&self, inputs: &mut dyn Iterator<Item = Tensor>) -> Result<Vec<Tensor>> {
        let x = self.given(inputs)?;
        let result = match is_functional(&x) {
            true => record(&*self.layer, &x, Location::caller())?,
            false => call::run(&*self.layer, &x, Location::caller(), true)?,
        };
        drop(x);
        let mut leaves = Vec::with_capacity(self.masks.len());
        result.visit(&mut |part| {
            if let Part::Tensor(leaf) = part {
                leaves.push(leaf.clone());
            }
        });
        Ok(leaves)
    }
}

/// One input, operation or call of a layer that models are made of.
#[derive(Clone)]
pub struct Recording(Arc<Node>);

/// What a [`Recording`] is of.
pub enum Made<'a> {
    /// An input, and what was said about it.
    Input(&'a Arc<dyn Any + Send + Sync>),
    /// An operation.
    Op(&'a Arc<dyn Op>),
    /// A layer.
    Call(&'a Arc<dyn Recorded>),
}

impl Recording {
    /// What a symbol of models came out of, and as which of its outputs; nothing for other tensors.
    pub fn of(tensor: &Tensor) -> Option<(Recording, usize)> {
        let (node, output) = Node::of(tensor).filter(|_| tensor.is_functional())?;
        Some((Recording(node), output))
    }

    /// What tells it from every other. Numbers rise, so that in their order each follows its inputs.
    pub fn number(&self) -> u64 {
        self.0.id
    }

    /// What it is of.
    pub fn made(&self) -> Made<'_> {
        match &self.0.origin {
            Origin::Op(op) => Made::Op(op),
            Origin::Call(call) => match call.downcast_ref::<Arc<dyn Recorded>>() {
                Some(call) => Made::Call(call),
                None => Made::Input(call),
            },
            Origin::Input(about) => Made::Input(about),
            // A placeholder is of a trace, and no symbol of models.
            Origin::Placeholder => unreachable!("a placeholder has no recording"),
        }
    }

    /// The symbols and values that it was given, with the masks that they had.
    pub fn inputs(&self) -> &[Tensor] {
        &self.0.inputs
    }

    /// Dtypes and shapes of what it gave; of a layer, the masks of its results are the last.
    pub fn outputs(&self) -> &[Spec] {
        &self.0.specs
    }

    /// The number of its results, without their masks.
    pub fn count(&self) -> usize {
        match self.made() {
            Made::Call(call) => call.results().leaves().len(),
            Made::Input(_) | Made::Op(_) => self.0.specs.len(),
        }
    }

    /// The symbol of an output, with its mask.
    pub fn output(&self, output: usize) -> Option<Tensor> {
        let symbol = |output: usize| Some(Tensor::symbol(self.0.clone(), output, self.0.specs.get(output)?.clone()));
        let mask = match self.made() {
            Made::Call(call) => call.mask(output),
            Made::Input(_) | Made::Op(_) => None,
        };
        Some(symbol(output)?.with_mask(mask.and_then(symbol)))
    }

    /// Which layer was called, where that can be told: recordings of one layer say the same.
    pub fn identity(&self) -> Option<Identity> {
        struct First(Option<Identity>);
        impl Visitor for First {
            fn variable(&mut self, _: &str, _: &Variable) {}

            fn module(&mut self, _: &str, module: &dyn Module) {
                self.0 = Identity::of(module, None);
            }

            fn held(&mut self, _: &str, module: &dyn Module, held: Held) {
                self.0 = Identity::of(module, Some(held));
            }
        }
        let Made::Call(call) = self.made() else { return None };
        let mut first = First(None);
        call.layer().track("", &mut first);
        first.0
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.made() {
            Made::Input(_) => f.write_str("Input")?,
            Made::Op(op) => f.write_str(op.name())?,
            Made::Call(call) => f.write_str(call.layer().class_name())?,
        }
        f.debug_list().entries(self.outputs()).finish()
    }
}
