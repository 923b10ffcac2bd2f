//! Handles and copies.

use super::*;
use modulor::module::{FromConfig, Track};
use std::sync::Arc;

#[test]
fn a_shared_handle_is_the_same_layer() {
    let dense = FlexibleDense::new(2);
    let handle = dense.share();
    handle.call(ones([1, 3])).unwrap();
    assert!(dense.w.is_valued());
    assert_eq!(dense.w.id(), handle.w.id());
}

#[test]
fn a_copy_has_the_same_values_in_variables_of_its_own() {
    let model = my_sequential_model();
    let x = ones([1, 3]);
    let y = model.call(&x).unwrap().to_vec::<f32>().unwrap();
    model.dense_1.w.set_trainable(false);
    let copy = model.copy().unwrap();
    assert_eq!(copy.call(&x).unwrap().to_vec::<f32>().unwrap(), y);
    assert_ne!(copy.dense_1.w.id(), model.dense_1.w.id());
    assert!(!copy.dense_1.w.trainable() && copy.dense_2.w.trainable());
    copy.dense_2.b.assign(&Tensor::from([5.0_f32, 5.0])).unwrap();
    assert_eq!(model.call(&x).unwrap().to_vec::<f32>().unwrap(), y);
}

#[test]
fn a_copy_of_what_is_not_built_is_not_built() {
    let copy = FlexibleDense::new(2).copy().unwrap();
    assert_eq!(copy.out_features, 2);
    assert!(!copy.w.is_sized());
    assert_eq!(copy.call(ones([1, 3])).unwrap().dims().unwrap(), [1, 2]);
}

#[test]
fn a_copy_goes_through_trait_objects_and_keeps_what_is_shared() {
    #[derive(Module)]
    struct Twice {
        layers: Vec<Arc<dyn Layer>>,
    }
    impl Layer for Twice {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.layers.iter().try_fold(x.clone(), |x, layer| layer.call(&x))
        }
    }
    let layer: Arc<dyn Layer> = Arc::new(FlexibleDense::new(2));
    let relu: Arc<dyn Layer> = Arc::new(Relu);
    let twice = Twice { layers: vec![layer.clone(), relu.clone(), layer, relu] };
    let x = ones([1, 2]);
    let y = twice.call(&x).unwrap().to_vec::<f32>().unwrap();
    let copy = twice.copy().unwrap();
    assert_eq!(copy.variables().len(), 2);
    assert_eq!(copy.submodules().len(), 2);
    assert_eq!(copy.call(&x).unwrap().to_vec::<f32>().unwrap(), y);
    let again = Twice::from_config(&twice.config().unwrap()).unwrap();
    assert_eq!(again.submodules().len(), 2);
}

#[test]
fn a_skipped_field_is_shared_and_made_anew_in_a_copy() {
    #[derive(Module)]
    struct Cached {
        #[config]
        size: usize,
        #[skip]
        calls: Arc<std::sync::atomic::AtomicUsize>,
        #[skip(default = vec![7])]
        seen: Vec<i32>,
    }
    let module = Cached::new(3);
    module.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(module.share().calls.load(std::sync::atomic::Ordering::Relaxed), 1);
    let copy = module.copy().unwrap();
    assert_eq!(copy.calls.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!((copy.size, copy.seen), (3, vec![7]));
}
