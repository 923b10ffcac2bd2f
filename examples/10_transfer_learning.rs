//! 10. What was learnt of one task helps with another: a frozen body, its features, a new head, and a fine tuning.
//!
//! `cargo run --release --example 10_transfer_learning`

#[path = "digits/data.rs"]
mod data;
#[path = "digits/shuffle.rs"]
mod shuffle;

use data::Digits;
use modulor::keras::library::{Conv2D, MaxPooling2D, Padding};
use modulor::prelude::*;

/// How many digits of each class there are to learn the second task from.
const FEW: usize = 5;

/// What sees: images `[n, 8, 8, 1]` become 128 features.
fn body() -> Sequential {
    let convolution = |filters| Conv2D::new(filters, 3).padding(Padding::Same).activation("relu");
    Sequential::new()
        .add(convolution(16))
        .add(MaxPooling2D::new())
        .add(convolution(32))
        .add(MaxPooling2D::new())
        .add(Flatten::new())
}

/// What answers: one of five classes.
fn head() -> Dense {
    Dense::new(5).activation("softmax")
}

/// Those of five classes from `first` on, at most so many of each: their images, and their classes counted from 0.
fn classes(digits: &Digits, first: i32, most: usize) -> Result<(Tensor, Tensor)> {
    let labels = digits.labels.to_vec::<i32>()?;
    let mut seen = [0; 5];
    let mut chosen = Vec::new();
    for (place, label) in labels.iter().enumerate() {
        if let Some(seen) = usize::try_from(label - first).ok().and_then(|class| seen.get_mut(class)) {
            *seen += 1;
            chosen.extend((*seen <= most).then_some(place as i32));
        }
    }
    let Digits { images, labels } = digits.at(&chosen)?;
    Ok((images.expand_dims(-1)?, labels.sub(f64::from(first))?))
}

/// Trains a model, or a part of one, and gives its accuracy on what it has not seen.
fn learn(
    model: &impl Layer,
    rate: f64,
    epochs: usize,
    seen: (&Tensor, &Tensor),
    new: (&Tensor, &Tensor),
) -> Result<f64> {
    let adam = Adam::new().learning_rate(rate);
    let mut trainer = model.compile(adam, "sparse_categorical_crossentropy")?.metrics(["accuracy"])?;
    trainer.fit(seen.0, seen.1).epochs(epochs).batch_size(16).verbose(0).run()?;
    Ok(trainer.evaluate(new.0, new.1).batch_size(200).verbose(0).run()?["accuracy"])
}

/// How many numbers an optimizer changes.
fn trainable(model: &impl Layer) -> usize {
    let shapes = model.trainable_variables().into_iter().filter_map(|variable| variable.shape());
    shapes.map(|shape| shape.iter().product::<usize>()).sum()
}

fn main() -> Result<()> {
    set_seed(1);
    let (learnt, held_out) = Digits::load()?.split(1)?;

    // The first task: plenty of the digits 0 to 4.
    let body = body();
    let first = Sequential::new().add(body.share().named("body")).add(head());
    let (x, y) = classes(&learnt, 0, usize::MAX)?;
    let (new_x, new_y) = classes(&held_out, 0, usize::MAX)?;
    let accuracy = learn(&first, 1e-3, 10, (&x, &y), (&new_x, &new_y))?;
    println!(
        "0 to 4, from {} digits: {accuracy:.3} of those it has not seen are right",
        y.shape().elements().unwrap_or(0)
    );

    // The second task: a handful of the digits 5 to 9.
    let (x, y) = classes(&learnt, 5, FEW)?;
    let (new_x, new_y) = classes(&held_out, 5, usize::MAX)?;
    let (few, new) = ((&x, &y), (&new_x, &new_y));

    // A handle to the body is the body: frozen here, it is frozen in every model that it is part of.
    body.freeze();
    let second = Sequential::new().add(body.share().named("body")).add(head());
    second.call(&x)?;
    println!("\n5 to 9, from {} digits", FEW * 5);
    println!("of {} numbers {} are trainable", second.count_params(), trainable(&second));

    // What is frozen gives the same of the same image, so it needs to see each but once. A head learns from the features.
    let (features, new_features) = (body.call(&x)?, body.call(&new_x)?);
    let accuracy = learn(&second.layers()[1], 1e-2, 15, (&features, &y), (&new_features, &new_y))?;
    println!("a new head alone, in 15 epochs: {accuracy:.3}");

    // With a head that knows what it wants, the body may follow, slowly.
    body.thaw();
    println!("thawed, {} are trainable", trainable(&second));
    let accuracy = learn(&second, 5e-4, 15, few, new)?;
    println!("fine tuned in 15 more: {accuracy:.3}");

    // What the body knows saves time. Of digits this small, with patience, even a handful teaches it from nothing.
    let nothing = Sequential::new().add(self::body()).add(head());
    let accuracy = learn(&nothing, 5e-4, 30, few, new)?;
    println!("from nothing, in 30: {accuracy:.3}");
    let accuracy = learn(&nothing, 5e-4, 170, few, new)?;
    println!("from nothing, in 200: {accuracy:.3}");
    Ok(())
}
