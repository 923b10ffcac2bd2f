//! `call`: building, error paths, losses, masks.

use super::*;
use modulor::layer::{add_loss, collecting_losses};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Module)]
struct SimpleModule {
    #[variable(init = 5.0)]
    train_me: Variable,
    #[variable(init = 5.0, trainable = false)]
    do_not_train_me: Variable,
}

impl SimpleModule {
    fn call(&self, x: f64) -> Tensor {
        x * &self.train_me + &self.do_not_train_me
    }
}

#[test]
fn a_plain_module_is_state_and_a_function_of_its_own() {
    let module = SimpleModule::new();
    assert_eq!(module.call(5.0).to_vec::<f32>().unwrap(), [30.0]);
    assert_eq!(module.variables().len(), 2);
    assert_eq!(module.trainable_variables().len(), 1);
    assert_eq!(module.non_trainable_variables().len(), 1);
    assert_eq!(module.count_params(), 2);
}

#[test]
fn the_first_call_builds() {
    let model = my_sequential_model();
    assert!(!model.dense_1.w.is_sized());
    assert!(model.variables().is_empty(), "the variables of a layer come together");
    let y = model.call(ones([1, 3])).unwrap();
    assert_eq!(y.dims().unwrap(), [1, 2]);
    let built: Vec<_> = model.named_variables().into_iter().map(|(path, _)| path).collect();
    assert_eq!(built, ["dense_1/b", "dense_1/w", "dense_2/b", "dense_2/w"]);
    assert_eq!(model.count_params(), 20);
    assert!(model.dense_2.w.path().unwrap().ends_with("/dense_2/w"));
}

#[test]
fn a_later_incompatible_input_says_what_failed_and_what_was_built() {
    let model = my_sequential_model();
    let line = line!() + 1;
    model.call(ones([1, 3])).unwrap();
    let error = model.call(ones([1, 4])).unwrap_err().to_string();
    let (message, note) = error.split_once('\n').unwrap();
    assert_eq!(message, "my_sequential_model/dense_1: In[0] mismatch In[1] shape: 4 vs. 3: [1,4] [3,3] [Op:MatMul]");
    let built = format!("`w` was built as [3, 3] for an input of shape (1, 3) at {}:{line}:11", file!());
    assert!(note.trim().starts_with(&built), "{note}");
    assert!(note.contains("an input of shape (1, 4) at"), "{note}");
    assert!(note.ends_with("asks for [4, 3]"), "{note}");
    model.call(ones([5, 3])).unwrap();
}

#[derive(Module)]
struct Scale {
    #[variable(shape = [input[-1]], init = 1.0)]
    scale: Variable,
}

impl Layer for Scale {
    /// Multiplies by the first scale alone, so that no operation minds the shape.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.scale.read()?;
        Ok(x.clone())
    }
}

#[test]
fn a_contradiction_that_no_operation_minds_is_an_error_itself() {
    let layer = Scale::new();
    layer.call(ones([1, 3])).unwrap();
    let error = layer.call(ones([1, 1])).unwrap_err().to_string();
    assert!(error.starts_with("scale: `scale` was built as [3] for an input of shape (1, 3) at "), "{error}");
    assert!(error.ends_with("asks for [1]"), "{error}");
}

#[test]
fn an_axis_that_is_not_there_is_an_error() {
    let error = FlexibleDense::new(3).call(Tensor::scalar(1.0_f32)).unwrap_err().to_string();
    assert!(error.starts_with("flexible_dense: the input has no axis -1"), "{error}");
}

static DRAWN: AtomicUsize = AtomicUsize::new(0);

#[derive(Module)]
struct Counted {
    #[variable(shape = [input[-1], 2], init = CountedInit)]
    w: Variable,
    #[variable(shape = [input[-1]], init = CountedInit)]
    v: Variable,
}

struct CountedInit;

impl Initializer for CountedInit {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        DRAWN.fetch_add(1, Ordering::SeqCst);
        Tensor::scalar(1.0_f32).cast(dtype)?.broadcast_to(dims)
    }
}

impl Layer for Counted {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.v.read()?;
        x.matmul(&self.w)
    }
}

#[test]
fn threads_that_race_to_the_first_call_build_once() {
    let layer = Counted::new();
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                let y = layer.call(ones([1, 3])).unwrap();
                assert_eq!(y.to_vec::<f32>().unwrap(), [3.0, 3.0]);
            });
        }
    });
    assert_eq!(DRAWN.load(Ordering::SeqCst), 2);
    assert_eq!(layer.w.path().as_deref(), Some("counted/w"));
}

#[derive(Module)]
struct Deep {
    blocks: Vec<MySequentialModel>,
    last: Box<dyn Layer>,
}

impl Layer for Deep {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.blocks.iter().try_fold(x.clone(), |x, block| block.call(&x))?;
        self.last.call(&x)
    }
}

#[derive(Module)]
struct Fails;

impl Layer for Fails {
    fn forward(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::unimplemented("never"))
    }
}

#[test]
fn an_error_carries_the_path_of_the_layer_it_came_from() {
    let deep = Deep { blocks: vec![my_sequential_model()], last: Box::new(Fails) };
    let error = deep.call(ones([1, 3])).unwrap_err();
    assert_eq!(error.to_string(), "deep/last: never");
    assert_eq!(error.path(), ["deep", "last"]);
    let error = deep.call(ones([1, 4])).unwrap_err();
    assert_eq!(error.path(), ["deep", "blocks/0", "dense_1"]);
}

#[test]
fn an_error_that_was_handled_leaves_no_name_behind() {
    #[derive(Module)]
    struct Forgiving {
        first: Fails,
    }
    impl Layer for Forgiving {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            assert!(self.first.call(x).is_err());
            Err(Error::unimplemented("my own"))
        }
    }
    let error = Forgiving { first: Fails }.call(ones([1])).unwrap_err();
    assert_eq!(error.to_string(), "forgiving: my own");
}

#[test]
fn a_grandchild_and_a_temporary_handle_are_found_too() {
    #[derive(Module)]
    struct Inner {
        dense: FlexibleDense,
    }
    #[derive(Module)]
    struct Outer {
        inner: Inner,
    }
    impl Layer for Outer {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            let handle = modulor::module::Track::share(&self.inner.dense);
            handle.call(x)
        }
    }
    let outer = Outer { inner: Inner { dense: FlexibleDense::new(2) } };
    outer.call(ones([1, 3])).unwrap();
    let error = outer.call(ones([1, 4])).unwrap_err();
    assert_eq!(error.path(), ["outer", "inner/dense"]);
}

#[test]
fn layers_add_losses_to_the_call_that_runs() {
    #[derive(Module)]
    struct Penalized {
        inner: FlexibleDense,
    }
    impl Layer for Penalized {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            add_loss(Tensor::scalar(0.5_f32));
            self.inner.call(x)
        }
    }
    let layer = Penalized { inner: FlexibleDense::new(2) };
    let (result, losses) = collecting_losses(|| layer.call(ones([1, 3])));
    result.unwrap();
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].to_vec::<f32>().unwrap(), [0.5]);
    layer.call(ones([1, 3])).unwrap();
    assert!(collecting_losses(|| ()).1.is_empty(), "a loss that nobody collects is dropped");
    let ((), losses) = collecting_losses(|| {
        let scopes = modulor::scope::Scopes::current();
        let added = || scopes.enter(|| add_loss(Tensor::from([1.0_f32])));
        std::thread::scope(|threads| threads.spawn(added).join().expect("no panic"));
    });
    assert_eq!(losses.len(), 1, "a thread that carries the scopes adds to the same losses");
}

#[test]
fn a_layer_says_the_mask_of_its_output() {
    #[derive(Module)]
    struct Pass;
    impl Layer for Pass {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            x.relu()
        }
        fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
            Ok(x.mask().cloned())
        }
    }
    let masked = ones([2]).with_mask(Some(ones([2])));
    assert!(Pass.call(&masked).unwrap().mask().is_some());
    assert!(Pass.call(ones([2])).unwrap().mask().is_none());
    let boxed: Box<dyn Layer> = Box::new(Pass);
    assert!(boxed.call(&masked).unwrap().mask().is_some());
}

#[test]
fn free_standing_layers_of_one_class_take_numbered_names() {
    #[derive(Module)]
    struct Lonely {
        #[variable(shape = [input[-1]], init = RandomNormal::default())]
        w: Variable,
    }
    impl Layer for Lonely {
        fn forward(&self, _: &Tensor) -> Result<Tensor> {
            self.w.read()
        }
    }
    let (first, second) = (Lonely::new(), Lonely::new());
    let a = first.call(ones([1, 3])).unwrap();
    let b = second.call(ones([1, 3])).unwrap();
    assert_eq!(first.w.path().as_deref(), Some("lonely/w"));
    assert_eq!(second.w.path().as_deref(), Some("lonely_1/w"));
    assert_ne!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
}

#[test]
fn a_named_layer_has_its_name_in_errors_and_paths() {
    let layer = FlexibleDense::new(2).named("features");
    layer.call(ones([1, 3])).unwrap();
    assert_eq!(layer.named_variables()[0].0, "b");
    assert_eq!(layer.variables()[0].path().as_deref(), Some("features/b"));
    let error = layer.call(ones([1, 4])).unwrap_err();
    assert_eq!(error.path(), ["features"]);
}

#[test]
fn a_trace_knows_the_place_of_every_operation() {
    let model = Deep { blocks: vec![my_sequential_model()], last: Box::new(Relu) };
    let trace = || {
        let spec = modulor::Spec::new(DType::F32, [1, 3]);
        modulor::graph::trace(|x| Ok(vec![model.call(&x[0])?]), &[spec]).unwrap().to_string()
    };
    trace();
    let graph = trace();
    for place in ["deep/blocks/0/dense_1", "deep/blocks/0/dense_2", "deep/last"] {
        assert!(graph.contains(place), "{place} in {graph}");
    }
}
