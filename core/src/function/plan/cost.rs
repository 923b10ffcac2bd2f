//! What a run costs.

use super::{Kind, Place, Plan, Step};
use crate::Spec;
use crate::function::cost::Cost;
use crate::op::Op;

impl Plan {
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let bytes = |specs: &[Spec]| -> u64 { specs.iter().map(bytes).sum() };
        for step in &self.steps {
            if let Kind::Flow(at) = step.kind {
                let plans = self.flows[at].plans().iter().map(Plan::cost);
                match self.flows[at].chooses() {
                    true => plans.max_by_key(Cost::flops).iter().for_each(|plan| cost.include(plan)),
                    false => plans.for_each(|plan| cost.include(&plan)),
                }
                continue;
            }
            let (inputs, outputs) = self.specs(step);
            let read = step.inputs.iter().map(|place| self.read(place)).sum();
            let flops = if step.kind == Kind::Copy { 0 } else { step.op.flops(&inputs, &outputs) };
            cost.add(&step.op.describe(), flops, read, bytes(&outputs));
        }
        for update in &self.updates {
            let gradient = update.others.iter().map(|place| self.read(place)).sum::<u64>();
            let own = bytes(&update.specs);
            let flops = update.step.flops(&update.specs, &update.specs);
            cost.add(&update.step.describe(), flops, gradient + own, own);
        }
        let room = |leaves: bool| -> u64 {
            let rooms = self.memory.iter().filter(|room| room.leaves.is_some() == leaves);
            rooms.map(|room| room.bytes as u64).sum()
        };
        cost.buffers += room(false);
        cost.results += room(true);
        cost.constants += self.constants.iter().map(|value| self::bytes(value.spec())).sum::<u64>();
        cost.variables += bytes(&self.read_specs);
        cost
    }

    /// What is known of what a step takes and gives.
    fn specs(&self, step: &Step) -> (Vec<Spec>, Vec<Spec>) {
        let input = |place: &Place| match place {
            Place::Static { dtype, layout, .. } => Spec::new(*dtype, &*layout.dims),
            Place::Made(at) => self.made_specs[*at].clone(),
        };
        let inputs = step.inputs.iter().map(input).collect();
        let outputs = match step.kind {
            Kind::Make(first) => self.made_specs[first..][..step.gives].to_vec(),
            _ => step.outputs.iter().map(|target| Spec::new(target.dtype, &*target.dims)).collect(),
        };
        (inputs, outputs)
    }

    /// The bytes behind a place: those of an element that is there many times over once.
    fn read(&self, place: &Place) -> u64 {
        match place {
            Place::Static { dtype, layout, .. } => {
                let own = layout.dims.iter().zip(&layout.strides).filter(|(_, stride)| **stride != 0);
                let count: usize = own.map(|(&dim, _)| dim).product();
                (if layout.dims.contains(&0) { 0 } else { count } * dtype.size()) as u64
            }
            Place::Made(at) => bytes(&self.made_specs[*at]),
        }
    }
}

/// The bytes of a tensor; none where its dims are not all known.
fn bytes(spec: &Spec) -> u64 {
    crate::op::elements(spec) * spec.dtype.size() as u64
}
