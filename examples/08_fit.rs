//! 8. Training without a loop of one's own: `compile`, `fit`, `evaluate`, `predict`.
//!
//! `cargo run --release --example 08_fit`; with `-- --svg FILE` the curves are drawn there.

use modulor::prelude::*;

const SAMPLES: usize = 1200;

/// Two spirals, turned into each other: points `[n, 2]`, and 0 or 1 for which spiral each is on.
fn spirals() -> Result<(Tensor, Tensor)> {
    let point = |at: usize| {
        // Neighbours are on different spirals, and far from each other on them.
        let (which, along) = (at % 2, (at as f32 * 0.618_034).fract());
        let angle = along * 9.0 + which as f32 * std::f32::consts::PI;
        [along * angle.cos(), along * angle.sin()]
    };
    let points: Vec<f32> = (0..SAMPLES).flat_map(point).collect();
    let which: Vec<i32> = (0..SAMPLES as i32).map(|at| at % 2).collect();
    Ok((Tensor::new([SAMPLES, 2], points)?, Tensor::from(which)))
}

fn main() -> Result<()> {
    set_seed(1);
    let (points, which) = spirals()?;

    let model = Sequential::new()
        .add(Dense::new(64).activation("relu"))
        .add(Dense::new(64).activation("relu"))
        .add(Dense::new(2).activation("softmax"));

    // The loss and the metrics are Keras's, by name or by value; what `"accuracy"` is follows from the shapes.
    let mut trainer =
        model.compile(Adam::new().learning_rate(3e-3), "sparse_categorical_crossentropy")?.metrics(["accuracy"])?;

    // A fifth of the points is kept aside, and training ends when nothing more is learnt about it.
    let mut stopping = EarlyStopping::new().patience(15).restore_best_weights(true);
    let history =
        trainer.fit(&points, &which).epochs(80).verbose(0).validation_split(0.2).callback(&mut stopping).run()?;
    println!("{history}");
    println!("the best epoch of {} was {}", history.epochs.len(), stopping.best_epoch() + 1);

    let found = trainer.evaluate(&points, &which).verbose(0).run()?;
    println!("all points: {found}");

    let answers = trainer.predict(&points.slice(..6)?).verbose(0).run()?.argmax(-1)?.to_vec::<i64>()?;
    println!("the first six points are on the spirals {answers:?}");

    if let Some(path) = std::env::args().skip_while(|argument| argument != "--svg").nth(1) {
        std::fs::write(&path, history.to_svg())
            .map_err(|error| Error::failed_precondition(format!("{path}: {error}")))?;
        println!("the curves are in {path}");
    }
    Ok(())
}
