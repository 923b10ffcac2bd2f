//! What a tensor of dtype `variant` holds: a list of tensors, or some tensors that may be there or not.

use super::{Layout, Storage, Tensor};
use crate::{DType, Error, Result, Shape};
use std::sync::Arc;

/// The one element of a tensor of dtype `variant`.
pub(crate) enum Variant {
    List(List),
    Optional(Option<Vec<Tensor>>),
}

impl Tensor {
    pub(crate) fn variant(variant: Variant) -> Tensor {
        let storage = Arc::new(Storage::Variant(variant));
        Tensor::value(DType::Variant, Layout::contiguous(Vec::new()), storage)
    }

    pub(crate) fn as_variant(&self) -> Result<&Variant> {
        match &*self.evaluated()?.storage {
            Storage::Variant(variant) => Ok(variant),
            _ => {
                let message = format!("expected a list or an optional, found a tensor of {}", self.dtype());
                Err(Error::invalid_argument(message))
            }
        }
    }

    pub(crate) fn as_list(&self) -> Result<&List> {
        match self.as_variant()? {
            Variant::List(list) => Ok(list),
            Variant::Optional(_) => Err(Error::invalid_argument("expected a list of tensors, found an optional")),
        }
    }
}

/// The places of a node: those of some nodes are copied for each element that comes or goes.
const WIDTH: usize = 8;

/// A list of tensors of one dtype and of compatible shapes, which shares what it has in common with the lists it was made
/// from: another element at the end, one less, another in some place take a time that grows as the logarithm of the length.
#[derive(Clone)]
pub(crate) struct List {
    pub dtype: DType,
    /// What is known of the shape of each element.
    pub shape: Shape,
    /// How many elements it may have.
    pub most: Option<usize>,
    len: usize,
    /// How many levels of inner nodes there are.
    height: u32,
    root: Arc<Place>,
}

/// A node of the tree. All but the last of a level are full. An element may not have been set yet.
enum Place {
    Leaf(Vec<Option<Tensor>>),
    Inner(Vec<Arc<Place>>),
}

/// The elements below a full node.
fn capacity(height: u32) -> usize {
    WIDTH.checked_pow(height + 1).unwrap_or(usize::MAX)
}

/// The place, in a node of this height, of an element.
fn digit(at: usize, height: u32) -> usize {
    at / (capacity(height) / WIDTH) % WIDTH
}

impl Place {
    /// So many elements, of which none is set: equal parts are the same node.
    fn unset(len: usize, height: u32) -> Arc<Place> {
        if height == 0 {
            return Arc::new(Place::Leaf(vec![None; len]));
        }
        let each = capacity(height - 1);
        let mut parts = Vec::new();
        if len >= each {
            parts = vec![Place::unset(each, height - 1); len / each];
        }
        if !len.is_multiple_of(each) {
            parts.push(Place::unset(len % each, height - 1));
        }
        Arc::new(Place::Inner(parts))
    }

    fn pushed(&self, at: usize, height: u32, element: Option<Tensor>) -> Arc<Place> {
        Arc::new(match self {
            Place::Leaf(elements) => Place::Leaf(elements.iter().cloned().chain([element]).collect()),
            Place::Inner(parts) => {
                let mut parts = parts.clone();
                match parts.get_mut(digit(at, height)) {
                    Some(part) => *part = part.pushed(at, height - 1, element),
                    None => {
                        let empty = if height == 1 { Place::Leaf(Vec::new()) } else { Place::Inner(Vec::new()) };
                        parts.push(empty.pushed(at, height - 1, element));
                    }
                }
                Place::Inner(parts)
            }
        })
    }

    /// Without its last element; nothing when that was the only one.
    fn popped(&self) -> Option<Arc<Place>> {
        match self {
            Place::Leaf(elements) if elements.len() <= 1 => None,
            Place::Leaf(elements) => Some(Arc::new(Place::Leaf(elements[..elements.len() - 1].to_vec()))),
            Place::Inner(parts) => {
                let (last, before) = parts.split_last()?;
                let parts: Vec<_> = before.iter().cloned().chain(last.popped()).collect();
                (!parts.is_empty()).then(|| Arc::new(Place::Inner(parts)))
            }
        }
    }

    fn with(&self, at: usize, height: u32, element: Option<Tensor>) -> Arc<Place> {
        Arc::new(match self {
            Place::Leaf(elements) => {
                let mut elements = elements.clone();
                elements[at % WIDTH] = element;
                Place::Leaf(elements)
            }
            Place::Inner(parts) => {
                let mut parts = parts.clone();
                let part = &mut parts[digit(at, height)];
                *part = part.with(at, height - 1, element);
                Place::Inner(parts)
            }
        })
    }

    /// Calls `f` with each element, in order.
    fn each<'a>(&'a self, f: &mut dyn FnMut(Option<&'a Tensor>) -> Result<()>) -> Result<()> {
        match self {
            Place::Leaf(elements) => elements.iter().try_for_each(|element| f(element.as_ref())),
            Place::Inner(parts) => parts.iter().try_for_each(|part| part.each(f)),
        }
    }
}

impl List {
    /// So many elements, none of which is set.
    pub fn unset(dtype: DType, shape: Shape, len: usize) -> List {
        let mut height = 0;
        while capacity(height) < len {
            height += 1;
        }
        List { dtype, shape, most: None, len, height, root: Place::unset(len, height) }
    }

    /// With another limit to how many elements it may have.
    pub fn at_most(self, most: Option<usize>) -> List {
        List { most, ..self }
    }

    /// These elements; they are of the dtype and the shape.
    pub fn of(dtype: DType, shape: Shape, elements: Vec<Option<Tensor>>) -> List {
        let len = elements.len();
        let leaves = elements.chunks(WIDTH).map(|chunk| Arc::new(Place::Leaf(chunk.to_vec())));
        let mut level: Vec<Arc<Place>> = leaves.collect();
        let mut height = 0;
        while level.len() > 1 {
            level = level.chunks(WIDTH).map(|chunk| Arc::new(Place::Inner(chunk.to_vec()))).collect();
            height += 1;
        }
        let root = level.pop().unwrap_or_else(|| Arc::new(Place::Leaf(Vec::new())));
        List { dtype, shape, most: None, len, height, root }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The element at a place below the length, if it has been set.
    pub fn get(&self, at: usize) -> Option<&Tensor> {
        let mut place = &*self.root;
        let mut height = self.height;
        loop {
            match place {
                Place::Leaf(elements) => return elements.get(at % WIDTH)?.as_ref(),
                Place::Inner(parts) => place = parts.get(digit(at, height))?,
            }
            height -= 1;
        }
    }

    /// With one more element at the end.
    pub fn pushed(&self, element: Option<Tensor>) -> List {
        let mut list = self.clone();
        if self.len == capacity(self.height) {
            list.root = Arc::new(Place::Inner(vec![list.root]));
            list.height += 1;
        }
        list.root = list.root.pushed(self.len, list.height, element);
        list.len += 1;
        list
    }

    /// Without the last element.
    pub fn popped(&self) -> List {
        let mut list = self.clone();
        list.len = self.len.saturating_sub(1);
        list.root = self.root.popped().unwrap_or_else(|| Arc::new(Place::Leaf(Vec::new())));
        if list.len == 0 {
            list.height = 0;
            list.root = Arc::new(Place::Leaf(Vec::new()));
        }
        while let Place::Inner(parts) = &*list.root
            && let [only] = &**parts
        {
            list.root = Arc::clone(only);
            list.height -= 1;
        }
        list
    }

    /// With another element at a place below the length.
    pub fn with(&self, at: usize, element: Option<Tensor>) -> List {
        List { root: self.root.with(at, self.height, element), ..self.clone() }
    }

    /// All elements, in order.
    pub fn elements(&self) -> Result<Vec<Option<&Tensor>>> {
        let mut elements = super::room(self.len)?;
        self.root.each(&mut |element| {
            elements.push(element);
            Ok(())
        })?;
        Ok(elements)
    }

    /// The same list of what `f` gives for each element.
    pub fn map(&self, f: &mut dyn FnMut(Option<&Tensor>) -> Result<Option<Tensor>>) -> Result<List> {
        let mut elements = super::room(self.len)?;
        self.root.each(&mut |element| {
            elements.push(f(element)?);
            Ok(())
        })?;
        Ok(List { most: self.most, ..List::of(self.dtype, self.shape.clone(), elements) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(list: &List) -> Vec<Option<i32>> {
        list.elements().unwrap().iter().map(|element| element.map(|e| e.item().unwrap())).collect()
    }

    #[test]
    fn a_list_is_as_a_vector_is_and_the_older_ones_stay() {
        let scalar = |i: usize| Some(Tensor::scalar(i as i32));
        let mut list = List::unset(DType::I32, Shape::scalar(), 0);
        let mut kept = Vec::new();
        for i in 0..2100 {
            if [0, 1, 31, 32, 33, 1023, 1024, 1025].contains(&i) {
                kept.push((i, list.clone()));
            }
            list = list.pushed(scalar(i));
            assert_eq!(list.get(i).unwrap().item::<i32>().unwrap(), i as i32);
        }
        assert_eq!(ints(&list), (0..2100).map(Some).collect::<Vec<_>>());
        for (len, before) in &kept {
            assert_eq!(ints(before), (0..*len as i32).map(Some).collect::<Vec<_>>());
            let at_once = List::of(DType::I32, Shape::scalar(), (0..*len).map(scalar).collect());
            assert_eq!(ints(&at_once.pushed(scalar(7)))[*len], Some(7));
        }
        for at in [0, 31, 32, 1024, 2099] {
            let other = list.with(at, None);
            assert_eq!((other.get(at).is_none(), list.get(at).is_some()), (true, true));
        }
        for len in (0..2100).rev() {
            list = list.popped();
            assert_eq!(list.len(), len);
            assert_eq!(list.get(len.saturating_sub(1)).is_some(), len > 0);
        }
        assert_eq!(ints(&list.pushed(scalar(3))), [Some(3)]);
        assert_eq!(list.popped().len(), 0);
    }

    #[test]
    fn places_that_are_not_set_take_no_room() {
        let list = List::unset(DType::F32, Shape::scalar(), 1 << 50);
        assert!(list.get((1 << 50) - 1).is_none());
        let other = list.with(12_345_678_901, Some(Tensor::scalar(1.0_f32))).pushed(None).popped();
        assert!(other.get(12_345_678_901).is_some() && other.get(12_345_678_900).is_none());
        assert!(list.elements().is_err());
        for len in [0, 1, 32, 33, 1024, 1057] {
            assert_eq!(ints(&List::unset(DType::I32, Shape::scalar(), len)), vec![None; len]);
        }
    }
}
