//! The outputs of a model, which may be a structure of tensors.

use super::losses::Targets;
use crate::model::Functional;
use modulor::{Error, Module, Result, Spec, Tensor, Tree};
use std::any::Any;

/// One tensor that a model gives.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Its name: the key in a map or derived struct; of a model made of symbols that of the layer it comes from; else
    /// `output_0` in a list.
    pub name: String,
    pub spec: Spec,
}

impl Output {
    /// All of a structure, in the order of its leaves.
    pub fn of(tree: &Tree) -> Vec<Output> {
        fn visit(tree: &Tree, name: &str, outputs: &mut Vec<Output>) {
            let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}/{part}") };
            match tree {
                Tree::Leaf(leaf) => {
                    let name = if name.is_empty() { "output" } else { name };
                    outputs.push(Output { name: name.to_owned(), spec: leaf.spec().clone() });
                }
                Tree::List(parts) => {
                    for (at, part) in parts.iter().enumerate() {
                        visit(part, &below(&format!("output_{at}")), outputs);
                    }
                }
                Tree::Map(parts) => parts.iter().for_each(|(key, part)| visit(part, &below(key), outputs)),
                Tree::None => {}
            }
        }
        let mut outputs = Vec::new();
        visit(tree, "", &mut outputs);
        outputs
    }

    /// All that a model gives, by what it gives.
    pub fn of_model(model: &dyn Module, tree: &Tree) -> Vec<Output> {
        let mut outputs = Output::of(tree);
        let model = (model.as_module() as &dyn Any).downcast_ref::<Functional>();
        if let Some(model) = model.filter(|_| !has_keys(tree)) {
            let names = model.output_names();
            for (at, (output, name)) in outputs.iter_mut().zip(&names).enumerate() {
                let before = names[..at].iter().filter(|other| *other == name).count();
                output.name = modulor::module::name::numbered(name, before);
            }
        }
        outputs
    }

    /// What targets are to its predictions, by Keras's rule: the last dim and the ranks tell.
    pub fn targets(&self, y_true: &Tensor) -> Targets {
        let last = |spec: &Spec| spec.shape.dims().and_then(|dims| *dims.last()?);
        let (rank_true, rank_pred) = (y_true.rank().unwrap_or_default(), self.spec.shape.rank().unwrap_or_default());
        let (of_true, of_pred) = (last(y_true.spec()), last(&self.spec));
        if of_pred == Some(1) {
            return Targets::Binary;
        }
        match rank_true < rank_pred || of_true == Some(1) && of_pred.is_some_and(|classes| classes > 1) {
            true => Targets::Sparse,
            false => Targets::Categorical,
        }
    }
}

fn has_keys(tree: &Tree) -> bool {
    match tree {
        Tree::Map(_) => true,
        Tree::List(parts) => parts.iter().any(has_keys),
        Tree::Leaf(_) | Tree::None => false,
    }
}

/// What is said by the names of outputs, in the order of the outputs.
pub(super) fn by_names(tree: &Tree, outputs: &[Output]) -> Tree {
    match tree {
        Tree::Map(parts) if parts.keys().all(|key| outputs.iter().any(|output| output.name == *key)) => {
            Tree::List(outputs.iter().filter_map(|output| parts.get(&output.name).cloned()).collect())
        }
        other => other.clone(),
    }
}

/// The targets of each output: as many as there are outputs, or as there are outputs with a loss.
pub(super) fn paired(y: &Tree, outputs: usize, has_loss: &[bool]) -> Result<Vec<Option<Tensor>>> {
    let leaves = y.leaves();
    if leaves.len() == outputs {
        return Ok(leaves.into_iter().map(Some).collect());
    }
    let wanted = has_loss.iter().filter(|has_loss| **has_loss).count();
    if leaves.len() != wanted {
        let message = format!("`y` has {} tensors, and the model has {outputs} outputs", leaves.len());
        return Err(Error::invalid_argument(message));
    }
    let mut leaves = leaves.into_iter();
    Ok(has_loss.iter().map(|has_loss| if *has_loss { leaves.next() } else { None }).collect())
}
