//! The tensors of elements: their names, and many side by side.

use modulor::{DType, Error, Function, Result, Structure, Tensor, Tree};

/// What the leaves of a tree are called in messages: their places and names, as `0/query`.
pub(super) fn names(tree: &Tree) -> Vec<String> {
    fn walk(tree: &Tree, path: &str, names: &mut Vec<String>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        match tree {
            Tree::Leaf(_) if path.is_empty() => names.push("the tensor".to_owned()),
            Tree::Leaf(_) => names.push(path.to_owned()),
            Tree::List(parts) => {
                parts.iter().enumerate().for_each(|(at, part)| walk(part, &below(&at.to_string()), names));
            }
            Tree::Map(parts) => parts.iter().for_each(|(name, part)| walk(part, &below(name), names)),
            Tree::None => {}
        }
    }
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found
}

/// The rows of a tensor at these places.
pub(super) fn gather(tensor: &Tensor, places: &[usize]) -> Result<Tensor> {
    if tensor.dtype() != DType::String {
        let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        return tensor.gather(&Tensor::from(places), 0);
    }
    let (elements, dims) = (tensor.to_strings()?, tensor.dims()?);
    let size: usize = dims[1..].iter().product();
    let rows = places.iter().flat_map(|&place| &elements[place * size..(place + 1) * size]);
    Tensor::strings([&[places.len()], &dims[1..]].concat(), rows)
}

/// Rows of tensors side by side, in buffers that are used again once nobody else holds them. A clone is a handle to the same.
#[derive(Clone)]
pub(crate) struct Gather(Function<(Tensor, Tensor)>);

impl Gather {
    pub fn new() -> Gather {
        Gather(Function::new(|(tensor, places): &(Tensor, Tensor)| tensor.gather(places, 0)))
    }

    /// What gives for one tensor after the other, with its mask, the rows at these places.
    pub fn rows<'g>(
        &'g self,
        places: &'g [usize],
        buffers: &'g mut Vec<Tensor>,
    ) -> impl FnMut(&Tensor) -> Result<Tensor> + use<'g> {
        let numbers = Tensor::from(places.iter().map(|&place| place as i64).collect::<Vec<_>>());
        let mut at = 0;
        move |tensor| {
            let mask = tensor.mask().map(|mask| gather(mask, places)).transpose()?;
            match buffers.get_mut(at) {
                None => buffers.push(gather(&tensor.with_mask(None), places)?),
                // A function takes what lies densely, and makes it so where it does not.
                Some(buffer) if tensor.dtype() != DType::String && tensor.is_contiguous() => {
                    self.0.call_into((&tensor.with_mask(None), &numbers), &(), buffer)?;
                }
                Some(buffer) => *buffer = gather(&tensor.with_mask(None), places)?,
            }
            at += 1;
            Ok(buffers[at - 1].with_mask(mask))
        }
    }
}

/// Tensors of one shape along a new first axis.
pub(super) fn stack(tensors: &[Tensor]) -> Result<Tensor> {
    match tensors {
        [first, ..] if first.dtype() == DType::String => {
            let elements = tensors.iter().map(Tensor::to_strings).collect::<Result<Vec<_>>>()?;
            Tensor::strings([&[tensors.len()], first.dims()?].concat(), elements.into_iter().flatten())
        }
        _ => Tensor::stack(tensors, 0),
    }
}

/// For each leaf of some elements, at least one, the tensors of all of them.
///
/// An error where they are not of one structure and, at each leaf, of one dtype, which names the first of them.
pub(super) fn columns<T: Structure>(elements: &[T]) -> Result<Vec<Vec<Tensor>>> {
    let mut columns: Vec<Vec<Tensor>> = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        let leaves = element.to_tree().leaves();
        if at == 0 {
            columns = leaves.into_iter().map(|leaf| vec![leaf]).collect();
            continue;
        }
        if leaves.len() != columns.len() {
            let (found, expected) = (leaves.len(), columns.len());
            let message = format!("element {at} of a batch has {found} tensors, and the one before has {expected}");
            return Err(Error::invalid_argument(message));
        }
        for (place, (leaf, column)) in leaves.into_iter().zip(&mut columns).enumerate() {
            if leaf.dtype() != column[0].dtype() {
                return Err(differ(element, place, at, column[0].dtype(), leaf.dtype()));
            }
            column.push(leaf);
        }
    }
    Ok(columns)
}

/// The error for an element that is not as the first of its batch.
pub(super) fn differ<T: Structure>(
    element: &T,
    leaf: usize,
    at: usize,
    first: impl std::fmt::Display,
    found: impl std::fmt::Display,
) -> Error {
    let name = names(&element.to_tree()).swap_remove(leaf);
    Error::invalid_argument(format!("`{name}` of element 0 of a batch is {first}, and of element {at} {found}"))
}

/// The structure of an element around one tensor for each of its leaves.
pub(super) fn rebuilt<T: Structure>(element: &T, leaves: Vec<Tensor>) -> Result<T> {
    let mut leaves = leaves.into_iter();
    element.replace(&mut |_| leaves.next().ok_or_else(|| Error::internal("there is a tensor for each leaf")))
}
