//! Weights that lie as products read them, from one call to the next.

use super::{Kind, Place, Plan, Source, Step};
use crate::ops::linalg::{Packed, ProductWith};
use crate::tensor::Layout;
use modulor_kernels::{InstructionSet, instruction_set};
use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// A packed factor is worth its memory for products of so many rows, or to so few columns.
const ROWS: usize = 48;
const COLUMNS: usize = 64;
/// Factors of fewer elements take no time.
const ELEMENTS: usize = 1024;

/// The factors that the plans of one graph keep: one for each weight, under each layout that products see it in.
#[derive(Default)]
pub(crate) struct Packs(Mutex<HashMap<Weight, Weak<Pack>>>);

/// A variable or a constant, by its number, as products see it.
#[derive(PartialEq, Eq, Hash)]
struct Weight {
    id: u64,
    dims: Vec<usize>,
    strides: Vec<isize>,
    offset: usize,
    is_transposed: bool,
}

/// A right factor, packed once its tensor comes for the second time: what changes with every call never is.
#[derive(Debug, Default)]
pub(super) struct Pack(RwLock<Of>);

#[derive(Debug, Default)]
struct Of {
    /// The number of the tensor, which is another one after a write.
    tensor: u64,
    set: Option<InstructionSet>,
    packed: Option<Arc<Packed>>,
}

impl Packs {
    fn of(&self, weight: Weight) -> Arc<Pack> {
        let mut packs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packs.retain(|_, pack| pack.strong_count() > 0);
        let pack = packs.entry(weight).or_default();
        pack.upgrade().unwrap_or_else(|| {
            let new = Arc::default();
            *pack = Arc::downgrade(&new);
            new
        })
    }
}

impl Pack {
    /// The factor for this tensor, which `pack` makes; none where the one that is multiplied by is to be read as it lies.
    pub fn find(&self, tensor: u64, pack: impl FnOnce() -> Option<Packed>) -> Option<Arc<Packed>> {
        let set = Some(instruction_set());
        {
            let of = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if of.tensor == tensor && of.set == set && of.packed.is_some() {
                return of.packed.clone();
            }
        }
        let mut of = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if of.tensor != tensor || of.set != set {
            *of = Of { tensor, set, packed: None };
            return None;
        }
        if of.packed.is_none() {
            of.packed = pack().map(Arc::new);
        }
        of.packed.clone()
    }
}

impl Plan {
    /// Lets products by weights that no run writes keep them packed, where that pays.
    pub(super) fn keep_weights(&mut self, packs: &Packs) {
        let changed: HashSet<u64> = self.changed.iter().map(|variable| variable.id()).collect();
        for step in &mut self.steps {
            let Some((source, layout, is_transposed)) = factor(step) else { continue };
            let id = match source {
                Source::Read(at) => Some(self.read[at].id()).filter(|id| !changed.contains(id)),
                Source::Constant(at) => Some(self.constants[at].id()),
                _ => None,
            };
            let Some(id) = id else { continue };
            let Layout { dims, strides, offset } = layout.clone();
            self.kept.push(packs.of(Weight { id, dims, strides, offset, is_transposed }));
            step.kind = Kind::Packed(self.kept.len() - 1);
        }
    }
}

/// The right factor of a product that is worth packing, and whether it is transposed.
fn factor(step: &Step) -> Option<(Source, &Layout, bool)> {
    let op = (&*step.op as &dyn Any).downcast_ref::<ProductWith>().filter(|_| step.kind == Kind::Run)?;
    let (Some(Place::Static { source, layout, .. }), [target]) = (step.inputs.get(1), &*step.outputs) else {
        return None;
    };
    let columns = *target.dims.last()?;
    let rows = target.dims.iter().product::<usize>().checked_div(columns)?;
    let pays = layout.dims.len() == 2 && layout.len() >= ELEMENTS && (rows >= ROWS || columns <= COLUMNS);
    pays.then_some((*source, layout, op.transpose_b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::lower::lower;
    use crate::graph::{pass::optimized, trace};
    use crate::{DType, Result, Spec, Tensor, Variable};

    fn plan(weight: &Variable, rows: usize, packs: &Packs) -> Result<Plan> {
        let body = |x: &[Tensor]| Ok(vec![x[0].matmul(weight)?.relu()?]);
        let specs = [Spec::new(DType::F32, [rows, weight.value()?.dims()?[0]])];
        let mut lowered = lower(&trace(body, &specs)?, &specs)?;
        lowered.graph = optimized(lowered.graph);
        Plan::new(lowered, packs)
    }

    fn wave(dims: [usize; 2], by: f32) -> Tensor {
        Tensor::new(dims, (0..dims[0] * dims[1]).map(|i| (i as f32 * by).sin()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_weight_is_packed_when_it_comes_again_and_for_all_plans_of_a_graph() {
        let (weight, packs) = (Variable::new(wave([40, 50], 0.3)), Packs::default());
        let (one, many) = (plan(&weight, 1, &packs).unwrap(), plan(&weight, 70, &packs).unwrap());
        assert!(Arc::ptr_eq(&one.kept[0], &many.kept[0]));
        let is_packed = || one.kept[0].0.read().unwrap().packed.is_some();
        let run = |plan: &Plan, rows: usize| {
            let x = wave([rows, 40], 0.7);
            let found = plan.run(std::slice::from_ref(&x)).unwrap().unwrap();
            let expected = x.matmul(&weight).unwrap().relu().unwrap();
            assert_eq!(found[0].to_bytes().unwrap(), expected.to_bytes().unwrap());
        };
        run(&one, 1);
        assert!(!is_packed(), "it may be another one the next time");
        run(&many, 70);
        assert!(is_packed());
        run(&one, 1);
        weight.assign(&wave([40, 50], 0.2)).unwrap();
        run(&many, 70);
        assert!(!is_packed(), "what was packed is gone with what it was packed of");
        run(&one, 1);
        run(&many, 70);
        assert!(is_packed());
        drop((one, many));
        assert_eq!(packs.0.lock().unwrap().values().filter(|pack| pack.strong_count() > 0).count(), 0);
    }

    #[test]
    fn a_weight_is_packed_where_it_pays() {
        let is_kept = |dims: [usize; 2], rows: usize| {
            plan(&Variable::new(wave(dims, 0.3)), rows, &Packs::default()).unwrap().kept.len() == 1
        };
        assert!(is_kept([128, 10], 1) && is_kept([64, 200], 48));
        assert!(!is_kept([64, 200], 8) && !is_kept([3, 2], 1));
    }
}
