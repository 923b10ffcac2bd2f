//! Freezing and thawing.

use super::*;

fn trainable(model: &MySequentialModel) -> Vec<String> {
    let variables = model.named_variables().into_iter().filter(|(_, variable)| variable.trainable());
    variables.map(|(path, _)| path).collect()
}

#[test]
fn what_was_frozen_before_it_is_built_stays_frozen() {
    let model = my_sequential_model();
    model.dense_1.freeze();
    model.call(ones([1, 3])).unwrap();
    assert_eq!(trainable(&model), ["dense_2/b", "dense_2/w"]);
    model.thaw();
    assert_eq!(model.trainable_variables().len(), 4);
}

#[test]
fn variables_are_frozen_by_handle_path_or_predicate() {
    let model = my_sequential_model();
    model.call(ones([1, 3])).unwrap();
    model.dense_1.b.set_trainable(false);
    assert_eq!(trainable(&model), ["dense_1/w", "dense_2/b", "dense_2/w"]);
    model.freeze_at("dense_2").unwrap();
    assert_eq!(trainable(&model), ["dense_1/w"]);
    model.thaw_at("dense_2/w").unwrap();
    assert_eq!(trainable(&model), ["dense_1/w", "dense_2/w"]);
    assert_eq!(model.freeze_where(|path, _| path.ends_with("/w")), 2);
    assert!(trainable(&model).is_empty());
    assert_eq!(model.thaw_where(|_, variable| variable.shape() == Some(vec![3])), 1);
    assert_eq!(trainable(&model), ["dense_1/b"]);
    let error = model.freeze_at("dense_3").unwrap_err().to_string();
    assert!(error.contains("`MySequentialModel` holds nothing at `dense_3`; did you mean `dense_"), "{error}");
}

#[test]
fn thawing_does_not_train_what_was_declared_not_to_be() {
    #[derive(Module)]
    struct Normalizer {
        #[variable(init = 0.0, trainable = false)]
        mean: Variable,
        #[variable(init = 1.0)]
        gamma: Variable,
    }
    let module = Normalizer::new();
    module.freeze();
    assert!(module.trainable_variables().is_empty());
    module.thaw();
    assert_eq!(module.trainable_variables().len(), 1);
    assert!(module.gamma.trainable() && !module.mean.trainable());
}

#[test]
fn a_submodule_can_be_declared_frozen() {
    #[derive(Module)]
    struct Tuned {
        #[module(trainable = false)]
        backbone: MySequentialModel,
        #[config]
        classes: usize,
        #[variable(shape = [input[-1], classes], init = 0.0)]
        head: Variable,
    }
    let tuned = Tuned::new(my_sequential_model(), 2);
    tuned.backbone.call(ones([1, 3])).unwrap();
    assert!(tuned.backbone.trainable_variables().is_empty());
    assert!(tuned.head.trainable());
    tuned.thaw();
    assert_eq!(tuned.trainable_variables().len(), 4, "its own variable is not built yet");
}

#[test]
fn freezing_a_shared_layer_freezes_it_everywhere() {
    use modulor::module::Track;
    let dense = FlexibleDense::new(2);
    let handle = dense.share();
    handle.freeze();
    dense.call(ones([1, 3])).unwrap();
    assert!(dense.trainable_variables().is_empty());
}
