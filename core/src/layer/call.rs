//! What happens around a layer's `forward`.

use super::{Layer, Module, functional};
use crate::{
    DTypePolicy, Error, Feed, Result, Structure, Tensor, Tree, Variable,
    module::{Identity, InputShapes, Node, Site, cells, name as names, walk},
    scope::{self, Scopes},
    variable::with_snapshot,
};
use std::panic::Location;

/// The way to use a layer.
pub trait Call: Module {
    /// Builds what is not built, checks the input against what is, and runs [`forward`](Layer::forward).
    ///
    /// A layer with a [dtype policy](Module::dtype_policy), as all of the library, is given floats in the dtype that it
    /// computes in, and reads those of its variables in that.
    ///
    /// `x` is `&In`, or whatever else is a [`Feed`] of it. The first call gives the variables their shapes; each
    /// variable draws its initial value when it is first read, once, however many threads call at the same time.
    ///
    /// Called on an input of models or on what was made of one, it gives the variables their shapes and its results are
    /// symbols, out of which a model is made; see [`functional`].
    ///
    /// # Errors
    ///
    /// An error carries the path of the layer it came from, as in `my_model/dense_2: ..`. An input that asks for other
    /// shapes than the first is an error: that of the operation which cannot take it, with a note on when and for what
    /// the variable was built, or, if the operations can, the contradiction itself.
    #[track_caller]
    fn call<In: Structure, Out: Structure>(&self, x: impl Feed<In>) -> Result<Out>
    where
        Self: Layer<In, Out>,
    {
        let (x, caller) = (x.feed(), Location::caller());
        match functional::is_functional(&x) {
            true => functional::record(self, &x, caller),
            false => run(self, &x, caller, true),
        }
    }
}

impl<M: Module + ?Sized> Call for M {}

/// Runs a layer; with `stamps`, gives a free-standing one its name.
pub(super) fn run<L, In, Out>(layer: &L, x: &In, caller: &'static Location<'static>, stamps: bool) -> Result<Out>
where
    L: Layer<In, Out> + ?Sized,
    In: Structure,
    Out: Structure,
{
    let module = layer.as_module();
    // A layer with an explicit name has it here, and not as a module: the name is its holder's.
    let name = layer.default_name();
    let frame = Frame::begin(caller);
    let body = || {
        let policy = module.dtype_policy();
        let cast = policy.as_ref().filter(|_| layer.autocast()).map(|policy| cast(x, policy)).transpose()?.flatten();
        let x = cast.as_ref().unwrap_or(x);
        if frame.is_outermost && stamps {
            names::stamp_free_standing(module, name);
        }
        let inputs = frame.prepare(module, &x.to_tree())?;
        let forward = || reading_in(policy.as_ref(), layer.autocast(), || layer.forward(x));
        let output = frame.at_one_moment(module, forward)??;
        match (output, inputs.conflict()) {
            (Ok(output), None) => finished(output, layer.mask(x)?),
            (Ok(_), Some(conflict)) => Err(Error::invalid_argument(conflict)),
            (Err(error), None) => Err(error),
            (Err(error), Some(conflict)) => Err(error.note(conflict)),
        }
    };
    frame.enter(module, name, body).map_err(|error| frame.blame(module, name, error))
}

/// The input with floats in the dtype that the policy computes in; `None` where they are.
fn cast<In: Structure>(x: &In, policy: &DTypePolicy) -> Result<Option<In>> {
    let (tree, dtype) = (x.to_tree(), policy.compute_dtype()?);
    let other = |leaf: &Tensor| leaf.dtype().is_float() && leaf.dtype() != dtype;
    if !tree.leaves().iter().any(other) {
        return Ok(None);
    }
    let cast = |leaf: &Tensor| match other(leaf) {
        true => Ok(leaf.cast(dtype)?.with_mask(leaf.mask().cloned())),
        false => Ok(leaf.clone()),
    };
    In::from_tree(tree.map(&mut { cast })?).map(Some)
}

/// Runs `forward` with variables read in the dtype that the policy computes in; without a policy, as they are read here.
fn reading_in<R>(policy: Option<&DTypePolicy>, autocast: bool, forward: impl FnOnce() -> R) -> Result<R> {
    let Some(policy) = policy else { return Ok(forward()) };
    let wanted = policy.autocast()?.filter(|_| autocast);
    if scope::with(|scopes| scopes.autocast) == wanted {
        return Ok(forward());
    }
    Ok(scope::changed(|scopes| scopes.autocast = wanted, forward))
}

/// The output with its mask; the error of an operator in `forward` that failed is said here.
fn finished<Out: Structure>(output: Out, mask: Option<Tensor>) -> Result<Out> {
    let tree = output.to_tree();
    tree.leaves().iter().try_for_each(Tensor::check)?;
    if mask.is_none() {
        return Ok(output);
    }
    let mut mask = mask;
    let mut masked = |leaf: &Tensor| Ok(mask.take().map_or_else(|| leaf.clone(), |mask| leaf.with_mask(Some(mask))));
    Out::from_tree(tree.map(&mut masked)?)
}

/// One running call.
struct Frame {
    is_outermost: bool,
    /// The place in the user's program that all of this began with.
    caller: &'static Location<'static>,
}

/// Which module an error came out of, for the frame that called it.
struct Origin {
    site: Site,
    identity: Option<Identity>,
    default_name: String,
}

impl Frame {
    /// A call that begins now, in those of this thread or of the one that the scopes were carried from.
    fn begin(caller: &'static Location<'static>) -> Frame {
        match scope::with(|scopes| scopes.outermost) {
            Some(caller) => Frame { is_outermost: false, caller },
            None => Frame { is_outermost: true, caller },
        }
    }

    /// Runs `body` in this call and in the name scope of the module: the place that its holder has it in, which only a
    /// trace pays for looking up.
    fn enter<R>(&self, module: &dyn Module, name: &str, body: impl FnOnce() -> R) -> R {
        let tracing = scope::tracing();
        if !tracing && !self.is_outermost {
            return body();
        }
        let holder = scope::with(|scopes| scopes.holder.clone()).filter(|_| tracing);
        let place = holder.and_then(|holder| holder.downcast_ref::<Node>()?.find(Site::of(module), None));
        let change = |scopes: &mut Scopes| {
            scopes.outermost = Some(self.caller);
            if tracing {
                scopes.holder = Some(walk(module));
            }
            match place.as_deref() {
                // A flattened part is in its holder's own place.
                Some("") => {}
                place => scopes.lengthen_path(place.unwrap_or(name)),
            }
        };
        scope::changed(change, body)
    }

    /// Gives the variables the shapes that follow from the inputs.
    fn prepare(&self, module: &dyn Module, x: &Tree) -> Result<InputShapes> {
        let leaves = x.leaves();
        // An operator that failed earlier left its error in the tensor.
        leaves.iter().try_for_each(Tensor::check)?;
        let shapes = leaves.iter().map(|leaf| leaf.shape().clone()).collect();
        let inputs = InputShapes::seen_from(shapes, self.caller);
        inputs.build(module)?;
        Ok(inputs)
    }

    /// Runs the outermost `forward` with every variable of the module seen as it is now: what other threads commit in
    /// the meantime is seen whole by the next call, and not in part by this one.
    fn at_one_moment<R>(&self, module: &dyn Module, forward: impl FnOnce() -> R) -> Result<R> {
        if !self.is_outermost || scope::tracing() {
            return Ok(forward());
        }
        let cells = cells(&walk(module)).into_iter().map(|(_, variable)| variable);
        with_snapshot(&cells.filter(Variable::is_valued).collect::<Vec<_>>(), forward)
    }

    /// Puts the name of the place that failed in front of the error: a layer does not know its name, its holder does.
    fn blame(&self, module: &dyn Module, name: &str, mut error: Error) -> Error {
        if let Some(origin) = error.take_origin::<Origin>() {
            let found = walk(module).find(origin.site, origin.identity.as_ref());
            error = match found {
                // A flattened part is in its holder's own place.
                Some(path) if path.is_empty() => error,
                Some(path) => error.within(path),
                None if origin.site == Site::of(module) => error,
                None => error.within(origin.default_name.as_str()),
            };
        }
        if self.is_outermost {
            return error.within(name);
        }
        error.with_origin(Origin {
            site: Site::of(module),
            identity: Identity::of(module, None),
            default_name: name.to_owned(),
        })
    }
}
