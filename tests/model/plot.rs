//! Pictures and tables of models.

use modulor::keras::library::{
    Activation, Conv2D, Dropout, Embedding, GlobalAveragePooling2D, LayerNormalization, MultiHeadAttention, add,
    concatenate,
};
use modulor::keras::model::{Summarize, plot_model};
use modulor::prelude::*;

fn two_branches() -> Result<Model> {
    let image = Input::with_shape([28, 28, 1]).name("image").build();
    let left = Conv2D::new(16, 3).activation("relu").call(&image)?;
    let left = Conv2D::new(16, 3).call(&left)?;
    let left = GlobalAveragePooling2D::new().call(&left)?;
    let right = Conv2D::new(8, 5).activation("relu").call(&image)?;
    let right = GlobalAveragePooling2D::new().call(&right)?;
    let both = Dropout::new(0.2).call(&concatenate([&left, &(right * 0.5)], -1)?)?;
    Model::new(&image, &Dense::new(10).activation("softmax").named("head").call(&both)?)
}

fn nested() -> Result<Model<(Tensor, Tensor), Tensor>> {
    let x = Input::new([32]);
    let h = Dense::new(64).activation("relu").call(&x)?;
    let encoder = Model::new(&x, &add([&x, &Dense::new(32).call(&h)?])?)?.named("encoder");
    let head = Sequential::new().input([64]).add(Dense::new(16)).add(Activation::new("relu")).add(Dense::new(1));
    let (a, b) = (Input::with_shape([32]).name("anchor").build(), Input::with_shape([32]).name("other").build());
    let both = concatenate([&encoder.call(&a)?, &encoder.call(&b)?], -1)?;
    Model::new((&a, &b), &head.call(&both)?)
}

fn transformer() -> Result<Model> {
    let words = Input::with_shape([None]).dtype(DType::I32).name("words").build();
    let mut x = Embedding::new(100, 32).call(&words)?;
    for _ in 0..2 {
        let y = LayerNormalization::new().call(&x)?;
        x = &x + MultiHeadAttention::new(4, 8).causal().call((&y, &y))?;
        let y = LayerNormalization::new().call(&x)?;
        let y = Dense::new(64).activation("gelu").call(&y)?;
        x = &x + Dense::new(32).call(&y)?;
    }
    Model::new(&words, &Dense::new(100).named("logits").call(&LayerNormalization::new().call(&x)?)?)
}

/// How often a text is in another.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn pictures_show_every_call_and_every_line() -> Result<()> {
    let model = two_branches()?;
    let svg = plot_model(&model)?.to_svg();
    assert_eq!(count(&svg, "<rect class=\"box"), model.layers().len());
    assert_eq!(count(&svg, "class=\"line\""), 10);
    assert!(svg.contains(">image<") && svg.contains("None×28×28×1 → None×26×26×16"), "{svg}");
    let dot = plot_model(&model)?.show_shapes(false).show_dtypes(true).to_dot();
    assert_eq!(count(&dot, " -> "), 10);
    assert!(dot.contains("n0 [label=\"image\\nInputLayer · float32\""), "{dot}");
    keep("two_branches", &svg);
    keep("transformer", &plot_model(&transformer()?)?.to_svg());
    Ok(())
}

#[test]
fn models_in_models_are_frames() -> Result<()> {
    let model = nested()?;
    let plot = plot_model(&model)?;
    let svg = plot.to_svg();
    assert_eq!(count(&svg, "class=\"model\""), 3, "the encoder is called twice");
    assert!(svg.contains("encoder · Functional · call 2 of 2"), "{svg}");
    let dot = plot.to_dot();
    assert_eq!(count(&dot, "subgraph cluster_"), 3);
    assert_eq!(count(&dot, "{"), count(&dot, "}"));
    assert!(dot.contains("lhead=cluster_"), "{dot}");
    let flat = plot.expand_nested(false).to_svg();
    assert_eq!((count(&flat, "class=\"model\""), count(&flat, "<rect class=\"box")), (0, 6));
    keep("nested", &svg);
    Ok(())
}

#[test]
fn a_picture_needs_to_know_what_calls_what() -> Result<()> {
    #[derive(Module)]
    struct Own {
        dense_1: Dense,
        dense_2: Dense,
    }
    impl Layer for Own {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            self.dense_2.call(&self.dense_1.call(x)?)
        }
    }
    let own = Own { dense_1: Dense::new(3), dense_2: Dense::new(2) };
    let error = plot_model(&own).unwrap_err().to_string();
    assert!(error.contains("what calls what in a `Own` is not known"), "{error}");
    // A table of it has what it holds.
    let table = own.summary().line_length(76).to_string();
    assert!(table.contains("dense_1 (Dense)") && table.contains("0 (unbuilt)") && table.contains("│ ?  "), "{table}");
    own.call(Tensor::from([[1.0_f32, 2.0]]))?;
    own.dense_1.freeze();
    let summary = own.summary().show_trainable(true).line_length(60);
    assert_eq!((summary.trainable_params(), summary.non_trainable_params(), summary.total_params()), (8, 9, 17));
    assert_eq!(summary.rows().iter().map(|row| row.trainable).collect::<Vec<_>>(), [Some(false), Some(true)]);
    // In a model its layers are shown where nested ones are.
    let x = Input::new([2]);
    let model = Model::new(&x, &own.call(&x)?)?;
    let table = model.summary().expand_nested(true).line_length(60).to_string();
    assert!(table.contains("own (Own)") && table.contains("└ dense_1 (Dense)"), "{table}");
    let optimizer = Adam::new();
    let tape = GradientTape::new();
    let loss = tape.record(|| model.call(Tensor::from([[1.0_f32, 2.0]]))?.sum(..))?;
    let weights = model.trainable_variables();
    let gradients = tape.gradients(&loss, &weights)?;
    optimizer.apply(&weights.into_iter().zip(gradients).collect::<Vec<_>>())?;
    let with = model.summary().optimizer(&optimizer);
    assert!(with.total_params() > 17 && with.to_string().contains(" Optimizer params: "), "{with}");
    Ok(())
}

#[test]
fn pictures_of_all_and_of_nothing() -> Result<()> {
    let picture = plot_model(&Sequential::new().add(Dense::new(2)))?;
    assert!(picture.to_svg().contains("dense") && picture.show_names(false).to_svg().contains("Dense"));
    assert!(plot_model(&Sequential::new())?.to_svg().ends_with("</svg>\n"));
    Ok(())
}

/// Leaves a picture to be looked at, below `MODULOR_PICTURES`, or nowhere.
fn keep(name: &str, svg: &str) {
    let Some(folder) = std::env::var_os("MODULOR_PICTURES").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    std::fs::write(folder.join(format!("{name}.svg")), svg).expect("there is room");
}
