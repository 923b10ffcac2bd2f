//! 7. Models with several inputs and outputs: layers called on symbols.
//!
//! `cargo run --example 07_functional`, and with `-- picture.svg` a picture of the model.

use modulor::keras::library::{Embedding, GlobalAveragePooling1D, concatenate};
use modulor::keras::model::{Summarize, plot_model};
use modulor::prelude::*;

fn main() -> Result<()> {
    // A question, a text and a number: sentences may be of any length.
    let question = Input::with_shape([None]).dtype(DType::I32).name("question").build();
    let text = Input::with_shape([None]).dtype(DType::I32).name("text").build();
    let age = Input::with_shape([1]).name("age").build();

    // Both sentences go through the same layers.
    let (words, mean) = (Embedding::new(100, 8), GlobalAveragePooling1D::new());
    let q = mean.call(&words.call(&question)?)?;
    let t = mean.call(&words.call(&text)?)?;

    // Operators and operations stand between layers.
    let distance = (&q - &t).square()?.sum_keepdims(-1)?;
    let all = concatenate([&q, &t, &distance, &(&age * 0.01)], -1)?;
    let hidden = Dense::new(16).activation("relu").named("hidden").call(&all)?;
    let answer = Dense::new(5).activation("softmax").named("answer").call(&hidden)?;
    let doubt = Dense::new(1).activation("sigmoid").named("doubt").call(&hidden)?;

    let error = Model::new((&question, &text), (&answer, &doubt)).unwrap_err();
    println!("what is not connected is said: {error}\n");
    let model = Model::new((&question, &text, &age), (&answer, &doubt))?;
    println!("{}", model.summary());

    let (q, t) = (Tensor::from([[1, 2, 3], [4, 5, 6]]), Tensor::from([[7, 8, 9, 10], [11, 12, 13, 14]]));
    let (answer, doubt) = model.call((&q, &t, &Tensor::from([[30.0_f32], [60.0]])))?;
    println!("answers: {answer}\ndoubts: {doubt}");

    // An inner tensor makes another model of the same layers.
    let features = Model::new((&question, &text, &age), &model.get_layer("hidden")?.output()?)?;
    println!("features: {}", features.call((&q, &t, &Tensor::from([[30.0_f32], [60.0]])))?.shape());

    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(&path, plot_model(&model)?.to_svg()).expect("the picture can be written");
    }
    Ok(())
}
