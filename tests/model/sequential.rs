//! What layers one after the other do.

use modulor::FromConfig;
use modulor::keras::library::InputLayer;
use modulor::prelude::*;

fn ramp(dims: [usize; 2]) -> Tensor {
    Tensor::new(dims, (0..dims[0] * dims[1]).map(|i| i as f32 * 0.25).collect::<Vec<f32>>()).expect("as many")
}

#[test]
fn it_is_built_by_its_input_or_by_its_first_call() -> Result<()> {
    let told = Sequential::new().input([3]).add(Dense::new(4)).add(Dense::new(2));
    assert_eq!(told.count_params(), 26);
    assert_eq!(told.output_shape()?.to_string(), "(None, 2)");
    let model = Sequential::new().add(Dense::new(4)).add(Dense::new(2));
    assert_eq!(model.count_params(), 0);
    let error = model.output_shape().unwrap_err().to_string();
    assert!(error.contains("nothing is known of the model's input"), "{error}");
    model.call(ramp([5, 3]))?;
    assert_eq!(model.count_params(), 26);
    assert_eq!(model.output_shape()?.to_string(), "(5, 2)");
    assert_eq!(*model.call(ramp([7, 3]))?.shape(), [7, 2]);
    Ok(())
}

#[test]
fn layers_are_added_taken_off_and_found() -> Result<()> {
    let mut model = Sequential::new().input([3]).add(Dense::new(4)).add(Dense::new(2).named("head"));
    assert_eq!(model.names(), ["dense", "head"]);
    assert_eq!(model.get_layer("head")?.class_name(), "Dense");
    let error = model.get_layer("haed").err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("no layer of the model is called `haed`; did you mean `head`"), "{error}");
    let head = model.pop().expect("there is one");
    assert_eq!(model.output_shape()?.to_string(), "(None, 4)");
    model.push(Box::new(Dense::new(5)));
    assert_eq!(model.names(), ["dense", "dense_1"]);
    assert_eq!(model.output_shape()?.to_string(), "(None, 5)");
    assert_eq!(head.count_params(), 10, "what was taken off keeps its variables");
    assert!(model.pop().and(model.pop()).is_some() && model.pop().is_none());
    assert_eq!(model.call(ramp([1, 3]))?.to_vec::<f32>()?, ramp([1, 3]).to_vec::<f32>()?);
    Ok(())
}

#[test]
fn what_cannot_be_is_said_by_the_call() -> Result<()> {
    let mut twice = Sequential::new().add(Dense::new(2).named("a")).add(Dense::new(2).named("a"));
    let error = twice.call(ramp([1, 2])).unwrap_err().to_string();
    assert!(error.contains("two of its layers are called `a`"), "{error}");
    twice.pop();
    twice.call(ramp([1, 2]))?;
    let late = Sequential::new().add(Dense::new(2)).add(InputLayer::new(vec![None, Some(3)]));
    let error = late.call(ramp([1, 2])).unwrap_err().to_string();
    assert!(error.contains("an input is not the first of its layers"), "{error}");
    let model = Sequential::new().input([3]).add(Dense::new(2));
    let error = model.call(ramp([1, 4])).unwrap_err().to_string();
    assert!(error.starts_with("sequential") && error.contains("(None, 3)"), "{error}");
    Ok(())
}

#[test]
fn it_is_a_layer_of_models() -> Result<()> {
    let inner = Sequential::new().input([3]).add(Dense::new(4).activation("relu")).add(Dense::new(3));
    let x = Input::new([3]);
    let model = Model::new(&x, &inner.call(&inner.call(&x)?)?)?;
    assert_eq!(model.weights().len(), 4);
    let x = ramp([2, 3]);
    assert_eq!(model.call(&x)?.to_vec::<f32>()?, inner.call(&inner.call(&x)?)?.to_vec::<f32>()?);
    let outer = Sequential::new().input([3]).add(model).add(Dense::new(1));
    assert_eq!(outer.output_shape()?.to_string(), "(None, 1)");
    assert_eq!(outer.names(), ["functional", "dense"]);
    let config = outer.config()?;
    let again = Sequential::from_config(&config)?;
    assert_eq!(again.config()?, config);
    assert_eq!(again.count_params(), outer.count_params());
    Ok(())
}
