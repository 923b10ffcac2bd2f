//! The outputs of a model, which may be a structure of tensors.

use super::losses::Targets;
use modulor::{Error, Result, Spec, Tensor, Tree};

/// One tensor that a model gives.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Its name: the key in a map or derived struct, `output_0` in a list.
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
