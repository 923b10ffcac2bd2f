//! Where a number that is not finite comes from.

use modulor::op::{Call, Recorder};
use modulor::variable::{commit, snapshot};
use modulor::{Error, Result, Tensor, Variable, scope};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs `f`; where it fails, variables are what they were before.
pub(super) fn or_as_before<R>(variables: &[Variable], f: impl FnOnce() -> Result<R>) -> Result<R> {
    let before = snapshot(variables)?;
    let outcome = f();
    if outcome.is_err() {
        commit(variables.iter().cloned().zip(before))?;
    }
    outcome
}

/// Runs a step once more, operation by operation, and says in words which was the first to make NaN, or an infinity, out of
/// finite numbers; nothing is changed by it.
pub(super) fn first_not_finite(variables: &[Variable], step: &dyn Fn() -> Result<Tensor>) -> Result<Option<String>> {
    let before = snapshot(variables)?;
    let look = |stop_at: Option<usize>| {
        let listener = Arc::new(Listener { stop_at, state: Mutex::default() });
        let outcome = scope::with_recorder(listener.clone(), step);
        // What the step has written is taken back.
        commit(variables.iter().cloned().zip(before.iter().cloned())).map(|()| (outcome, listener))
    };
    let (_, listener) = look(None)?;
    let found = listener.state.lock().unwrap_or_else(PoisonError::into_inner).culprit();
    let Some((at, what)) = found else { return Ok(None) };
    // The error passes through all layers on its way out, which say where they are.
    let (outcome, _) = look(Some(at))?;
    Ok(Some(match outcome {
        Err(error) if error.op().is_some() && !error.path().is_empty() => {
            format!("{what}, in {}", error.path().join("/"))
        }
        _ => what,
    }))
}

/// Hears of all operations, and looks at what they give.
struct Listener {
    /// The number of the operation to fail at.
    stop_at: Option<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: usize,
    /// What is known of tensors by their numbers: how they are not finite.
    bad: HashMap<u64, Bad>,
    /// The first operation that made NaN, and the first that made an infinity, out of finite numbers.
    first_nan: Option<(usize, String)>,
    first_infinite: Option<(usize, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bad {
    Nan,
    Infinite,
}

impl State {
    /// The one that is to blame: of NaN the infinity that it came from, if there was one before it.
    fn culprit(&self) -> Option<(usize, String)> {
        match (&self.first_nan, &self.first_infinite) {
            (Some(nan), Some(infinite)) if infinite.0 < nan.0 => {
                Some((infinite.0, format!("{}; then {}", infinite.1, nan.1)))
            }
            (Some(found), _) | (None, Some(found)) => Some(found.clone()),
            (None, None) => None,
        }
    }
}

impl Recorder for Listener {
    fn record(&self, call: &Arc<Call>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.count;
        state.count += 1;
        if self.stop_at == Some(at) {
            return Err(Error::out_of_range("not finite").in_op(call.op.name()));
        }
        for output in &call.outputs {
            let found = scope::without_tapes(|| not_finite(output));
            let Some(found) = found else { continue };
            state.bad.insert(output.id(), found);
            let is_from_bad =
                call.inputs.iter().any(|input| state.bad.get(&input.id()).is_some_and(|bad| *bad == found));
            // What is read from a variable or was given was not made here.
            let given = call.inputs.iter().any(|input| {
                !state.bad.contains_key(&input.id()) && scope::without_tapes(|| not_finite(input)) == Some(found)
            });
            let (kind, place) = match found {
                Bad::Nan => ("NaN", &mut state.first_nan),
                Bad::Infinite => ("an infinity", &mut state.first_infinite),
            };
            if is_from_bad || place.is_some() {
                continue;
            }
            let inputs: Vec<String> = call.inputs.iter().map(|input| input.spec().to_string()).collect();
            let what = match (given, call.inputs.is_empty() || call.op.name() == "ReadVariableOp") {
                (_, true) => format!("{kind} was in a variable or constant of {}", output.spec()),
                (true, _) => format!("{kind} was in what `{}` of {} was given", call.op.name(), inputs.join(" and ")),
                (false, _) => format!("{kind} came first out of `{}` of {}", call.op.name(), inputs.join(" and ")),
            };
            *place = Some((at, what));
        }
        Ok(())
    }

    fn depends(&self, _: &Tensor) -> bool {
        false
    }
}

/// How a tensor is not finite, if it is floats and is not.
fn not_finite(t: &Tensor) -> Option<Bad> {
    if !t.dtype().is_float() || t.is_symbolic() {
        return None;
    }
    let values = t.cast(modulor::DType::F64).and_then(|t| t.to_vec::<f64>()).unwrap_or_default();
    match (values.iter().any(|x| x.is_nan()), values.iter().any(|x| x.is_infinite())) {
        (true, _) => Some(Bad::Nan),
        (false, true) => Some(Bad::Infinite),
        (false, false) => None,
    }
}
