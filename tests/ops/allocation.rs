//! Kernels write every element of the buffers they are given, and ask for no memory.

use super::case::{CASES, caught};
use super::report::Report;
use modulor::op::{Input, Op, Scratch, View, ViewMut};
use modulor::tensor::set_spare_memory;
use modulor::{Result, Spec, Tensor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    // A thread that is ending has no counter any more, and nobody to read it.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
    let _ = BYTES.try_with(|asked| asked.set(asked.get() + bytes));
}

/// As long as one lives, no memory is used again that tensors had: what they need is asked of the allocator.
struct NothingSpare;

static NOTHING_SPARE: Mutex<usize> = Mutex::new(0);

impl NothingSpare {
    fn new() -> NothingSpare {
        let mut count = NOTHING_SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        set_spare_memory(0);
        NothingSpare
    }
}

impl Drop for NothingSpare {
    fn drop(&mut self) {
        let mut count = NOTHING_SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        *count -= 1;
        if *count == 0 {
            set_spare_memory(1 << 30);
        }
    }
}

/// How many bytes this thread asks for while `f` runs.
pub fn bytes_asked<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let nothing_spare = NothingSpare::new();
    let before = BYTES.get();
    let result = f();
    let asked = BYTES.get() - before;
    drop(nothing_spare);
    (result, asked)
}

/// How often this thread has asked for memory.
pub fn asked() -> usize {
    ASKED.get()
}

/// How often this thread asks for memory while `f` runs.
pub fn allocations<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let before = asked();
    let result = f();
    (result, asked() - before)
}

// SAFETY: each call goes to the system's allocator as it came; the counter is a plain cell that allocates nothing.
#[allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    // Of its own, so that zeros which nobody touches stay the system's.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on, and `old` came from `System.alloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A buffer of words is aligned for every dtype.
type Words = Vec<u128>;

/// The outputs of the op's kernel, written over garbage, and how often it allocated; `None` where it has no kernel
/// that writes into buffers.
fn into_garbage(op: &dyn Op, inputs: &[Tensor]) -> Result<Option<(Vec<Tensor>, usize)>> {
    let seen: Vec<Input> = inputs.iter().map(|tensor| Input { spec: tensor.spec(), value: Some(tensor) }).collect();
    let specs = op.infer(&seen)?;
    let references: Vec<&Tensor> = inputs.iter().collect();
    let plain = |spec: &Spec| spec.dtype.size() > 0 && spec.shape.is_known();
    if op.always_makes() || !specs.iter().all(plain) || !inputs.iter().all(|input| plain(input.spec())) {
        return Ok(None);
    }
    if let [spec] = &*specs
        && op.view(&references, spec)?.is_some()
    {
        return Ok(None);
    }
    let bytes: Vec<usize> =
        specs.iter().map(|spec| spec.shape.elements().expect("all dims are known") * spec.dtype.size()).collect();
    let mut buffers: Vec<Words> =
        bytes.iter().map(|bytes| vec![u128::from_ne_bytes([0xA5; 16]); bytes / 16 + 1]).collect();
    let views = inputs.iter().map(View::of).collect::<Result<Vec<_>>>()?;
    let mut outputs = Vec::new();
    for ((spec, buffer), &bytes) in specs.iter().zip(&mut buffers).zip(&bytes) {
        let dims = spec.shape.known().expect("all dims are known");
        let target = &mut bytemuck::cast_slice_mut(buffer)[..bytes];
        outputs.push(ViewMut::new(spec.dtype, dims, target)?);
    }
    let mut scratch = Scratch::new();
    scratch.reserve(op.scratch(&views, &outputs))?;
    let before = ASKED.get();
    op.run(&views, &mut outputs, &mut scratch)?;
    let allocated = ASKED.get() - before;
    drop(outputs);
    let outputs = specs.iter().zip(&buffers).zip(bytes).map(|((spec, buffer), bytes)| {
        let dims = spec.shape.known().expect("all dims are known");
        Tensor::from_bytes(spec.dtype, dims, &bytemuck::cast_slice(buffer)[..bytes])
    });
    Ok(Some((outputs.collect::<Result<_>>()?, allocated)))
}

#[test]
fn kernels_fill_dirty_buffers_and_allocate_nothing() {
    let mut report = Report::new("dirty buffers");
    let mut run = 0;
    for case in CASES.iter() {
        let (Ok(op), Ok(expected)) = (case.op(), case.run()) else { continue };
        // Twice: what a kernel sets up once for the process, such as what the processor can do, is not of the call.
        let found = caught(|| {
            into_garbage(&*op, &case.inputs)?;
            into_garbage(&*case.op()?, &case.inputs)
        });
        match found {
            Ok(None) => {}
            Ok(Some((found, allocated))) => {
                run += 1;
                report.same(case, "dirty buffer", &Ok(found), &expected);
                if allocated > 0 {
                    report.add(case, "allocations", allocated, 0);
                }
            }
            Err(error) => report.add(case, "dirty buffer", format!("{error:?}"), "outputs"),
        }
    }
    assert!(run > 1000, "only {run} cases have kernels");
    report.finish();
}

/// What the kernel makes of the inputs in the place of input `over`, and how often it allocated; `None` where the output
/// is not like that input.
fn over_input(op: &dyn Op, inputs: &[Tensor], over: usize, output: &Tensor) -> Result<Option<(Tensor, usize)>> {
    if output.spec() != inputs[over].spec() {
        return Ok(None);
    }
    let bytes = inputs[over].to_bytes()?;
    let mut buffer: Words = vec![0; bytes.len() / 16 + 1];
    let place = &mut bytemuck::cast_slice_mut(&mut buffer)[..bytes.len()];
    place.copy_from_slice(&bytes);
    let others = inputs.iter().enumerate().filter(|&(i, _)| i != over);
    let others = others.map(|(_, input)| View::of(input)).collect::<Result<Vec<_>>>()?;
    let mut target = ViewMut::new(output.dtype(), output.dims()?, place)?;
    let before = ASKED.get();
    op.run_over(over, &others, &mut target, &mut Scratch::new())?;
    let allocated = ASKED.get() - before;
    Ok(Some((Tensor::from_bytes(output.dtype(), output.dims()?, place)?, allocated)))
}

#[test]
fn kernels_write_over_an_input_what_they_write_elsewhere() {
    let mut report = Report::new("over an input");
    let mut run = 0;
    for case in CASES.iter() {
        let (Ok(op), Ok(expected)) = (case.op(), case.run()) else { continue };
        for &over in op.overwrites() {
            match caught(|| over_input(&*op, &case.inputs, over, &expected[0])) {
                Ok(None) => {}
                Ok(Some((output, allocated))) => {
                    run += 1;
                    report.same(case, "over an input", &Ok(vec![output]), &expected);
                    if allocated > 0 {
                        report.add(case, "allocations over an input", allocated, 0);
                    }
                }
                Err(error) => report.add(case, "over an input", format!("{error:?}"), "an output"),
            }
        }
    }
    assert!(run > 500, "only {run} cases write over an input");
    report.finish();
}

#[test]
fn the_counter_counts() {
    let before = (ASKED.get(), BYTES.get());
    let boxed = std::hint::black_box(Box::new([0_u8; 100]));
    assert_eq!((ASKED.get(), BYTES.get()), (before.0 + 1, before.1 + 100));
    drop(boxed);
}
