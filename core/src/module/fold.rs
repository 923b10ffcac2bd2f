//! The folds over a module that everybody uses: its variables, its submodules, freezing.

use super::walk::join;
use super::{Module, Node, copy, walk};
use crate::{Error, Result, Tensor, Variable, nearest};
use std::collections::HashSet;

/// What can be asked of every module.
pub trait ModuleExt: Module {
    /// Ends a constructor written by hand: `Self { .. }.declared()`.
    #[must_use]
    fn declared(self) -> Self
    where
        Self: Sized,
    {
        self.declare();
        self
    }

    /// Every variable once, as `tf.Module.variables` lists them: what a module holds directly comes first, by sorted
    /// field name; then each submodule in turn, the same way.
    ///
    /// The variables of a layer come into being together: before it is built, the list has none of them.
    fn variables(&self) -> Vec<Variable> {
        self.named_variables().into_iter().map(|(_, variable)| variable).collect()
    }

    /// The [`variables`](ModuleExt::variables) that an optimizer updates.
    fn trainable_variables(&self) -> Vec<Variable> {
        self.variables().into_iter().filter(Variable::trainable).collect()
    }

    /// The [`variables`](ModuleExt::variables) that no optimizer updates.
    fn non_trainable_variables(&self) -> Vec<Variable> {
        self.variables().into_iter().filter(|variable| !variable.trainable()).collect()
    }

    /// The [`variables`](ModuleExt::variables) with their paths from this module, as in `dense_1/w`.
    ///
    /// A shared variable is listed where it is met first.
    fn named_variables(&self) -> Vec<(String, Variable)> {
        let mut cells = Vec::new();
        in_order(&walk(self), &mut |path, node| {
            if node.is_built() {
                let sized = node.sorted_variables().into_iter().filter(|(_, variable)| variable.is_sized());
                cells.extend(sized.map(|(name, variable)| (join(path, name), variable.clone())));
            }
        });
        first_met(cells)
    }

    /// Every weight once in Keras's order, which is that of saved weights: those that a module holds itself, in order of
    /// declaration but trainable ones first; then those of its submodules, in order of declaration.
    ///
    /// Variables declared with `weight = false` are not among them, though they are among the
    /// [`variables`](ModuleExt::variables): seeds, and what metrics and optimizers remember.
    fn weights(&self) -> Vec<Variable> {
        let mut weights = Vec::new();
        walk(self).each_built_variable(&mut |path, variable| {
            if variable.is_weight() {
                weights.push((path.to_owned(), variable.clone()));
            }
        });
        first_met(weights).into_iter().map(|(_, variable)| variable).collect()
    }

    /// Every module below this one once, by path and class, as `tf.Module.submodules` lists them: those it holds
    /// directly, by sorted field name; then those of each of them in turn.
    ///
    /// A module without variables that is not in an `Arc` cannot be told from its equals, and counts at each place.
    fn submodules(&self) -> Vec<(String, String)> {
        let mut submodules = Vec::new();
        let found = &mut |path: &str, node: &Node| submodules.push((path.to_owned(), node.class_name.clone()));
        walk(self).in_order(found, &mut |_, _| {});
        submodules
    }

    /// The number of elements in all [`weights`](ModuleExt::weights): of what is not built yet, 0.
    fn count_params(&self) -> usize {
        let shapes = self.weights().into_iter().filter_map(|variable| variable.shape());
        shapes.map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// Keeps optimizers from changing the variables of this module and of all below it, built or not.
    fn freeze(&self) {
        set_trainable(self, false, &mut |_, _| true);
    }

    /// Undoes [`freeze`](ModuleExt::freeze); variables declared with `trainable = false` stay as they are.
    fn thaw(&self) {
        set_trainable(self, true, &mut |_, _| true);
    }

    /// Freezes the variable or the module at `path`, or says which paths there are.
    fn freeze_at(&self, path: &str) -> Result<()> {
        set_trainable_at(self, false, path)
    }

    /// Thaws the variable or the module at `path`, or says which paths there are.
    fn thaw_at(&self, path: &str) -> Result<()> {
        set_trainable_at(self, true, path)
    }

    /// Freezes the variables of which `choose(path, variable)` is true, built or not, and gives their number.
    fn freeze_where(&self, mut choose: impl FnMut(&str, &Variable) -> bool) -> usize
    where
        Self: Sized,
    {
        set_trainable(self, false, &mut choose)
    }

    /// Thaws the variables of which `choose(path, variable)` is true, built or not, and gives their number.
    fn thaw_where(&self, mut choose: impl FnMut(&str, &Variable) -> bool) -> usize
    where
        Self: Sized,
    {
        set_trainable(self, true, &mut choose)
    }

    /// The penalties that the variables' regularizers give for their present values.
    ///
    /// Fails where a regularized variable has no value yet.
    fn regularization_losses(&self) -> Result<Vec<Tensor>> {
        let variables = self.variables().into_iter().filter(Variable::trainable);
        let penalty = |variable: Variable| {
            let regularizer = variable.declaration()?.regularizer?;
            Some(variable.read().and_then(|value| regularizer.penalty(&value)))
        };
        variables.filter_map(penalty).collect()
    }

    /// Another module with the same settings and variables of its own that hold the same values.
    ///
    /// [`share`](super::Track::share) gives a handle to the same variables. Fails where [`config`](Module::config) or
    /// [`from_config`](super::FromConfig::from_config) does, and for a variable that no declaration describes.
    fn copy(&self) -> Result<Self>
    where
        Self: Sized,
    {
        copy::copy(self)
    }
}

impl<M: Module + ?Sized> ModuleExt for M {}

/// Every variable once, built or not, in TensorFlow's order, with the path where it is met first.
pub(crate) fn cells(root: &Node) -> Vec<(String, Variable)> {
    let mut cells = Vec::new();
    in_order(root, &mut |path, node| {
        let variables = node.sorted_variables().into_iter();
        cells.extend(variables.map(|(name, variable)| (join(path, name), variable.clone())));
    });
    first_met(cells)
}

fn in_order(root: &Node, entered: &mut dyn FnMut(&str, &Node)) {
    root.in_order(&mut |_, _| {}, entered);
}

/// Each variable where it is met first.
fn first_met(mut variables: Vec<(String, Variable)>) -> Vec<(String, Variable)> {
    let mut met = HashSet::new();
    variables.retain(|(_, variable)| met.insert(variable.id()));
    variables
}

fn set_trainable(
    module: &(impl Module + ?Sized),
    trainable: bool,
    choose: &mut dyn FnMut(&str, &Variable) -> bool,
) -> usize {
    let mut cells = cells(&walk(module));
    cells.retain(|(path, variable)| choose(path, variable));
    cells.iter().for_each(|(_, variable)| variable.set_trainable(trainable));
    cells.len()
}

fn set_trainable_at(module: &(impl Module + ?Sized), trainable: bool, path: &str) -> Result<()> {
    let root = walk(module);
    if let Some(variables) = root.at(path) {
        variables.iter().for_each(|variable| variable.set_trainable(trainable));
        return Ok(());
    }
    let mut places: Vec<String> = cells(&root).into_iter().map(|(place, _)| place).collect();
    root.in_order(&mut |place, _| places.push(place.to_owned()), &mut |_, _| {});
    let known = nearest::suggestion(path, places.iter().map(String::as_str));
    Err(Error::not_found(format!("`{}` holds nothing at `{path}`; {known}", root.class_name)))
}
