//! Pictures and tables of models.

use modulor::keras::library::{
    Activation, Conv2D, Dropout, Embedding, Flatten, GlobalAveragePooling2D, LSTM, LayerNormalization,
    MultiHeadAttention, add, concatenate,
};
use modulor::keras::model::{Plot, Summarize, Summary, plot_model, plot_model_on};
use modulor::prelude::*;
use std::fmt::Write;
use std::path::Path;

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
    let calls = transformer()?.layers().map(|layer| layer.outputs().len()).sum::<usize>();
    assert_eq!(count(&plot_model(&transformer()?)?.to_svg(), "<rect class=\"box"), calls);
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

/// A block of a transformer, with what is read between its layers as Rust.
#[derive(Module)]
struct Block {
    norm_1: LayerNormalization,
    attention: MultiHeadAttention,
    norm_2: LayerNormalization,
    feed: FeedForward,
    dropout: Dropout,
}

#[derive(Module)]
struct FeedForward {
    up: Dense,
    down: Dense,
}

impl Layer for FeedForward {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.call(&self.up.call(x)?)
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.norm_1.call(x)?;
        let y: Tensor = self.attention.call((&y, &y))?;
        let x = x + self.dropout.call(&y)?;
        let y = self.feed.call(&self.norm_2.call(&x)?)?;
        Ok(x + self.dropout.call(&y)?)
    }
}

fn block() -> Block {
    Block {
        norm_1: LayerNormalization::new(),
        attention: MultiHeadAttention::new(4, 8),
        norm_2: LayerNormalization::new(),
        feed: FeedForward { up: Dense::new(128).activation("gelu"), down: Dense::new(32) },
        dropout: Dropout::new(0.1),
    }
}

/// Layers of all kinds of places, as a model of one's own.
#[derive(Module)]
struct Own {
    first: Dense,
    lists: Vec<Dense>,
    residual: Residual,
    head: Sequential,
    flat: Flatten,
    never: Dense,
    lstm: LSTM,
}

#[derive(Module)]
struct Residual {
    up: Dense,
    down: Dense,
    drop: Dropout,
    #[variable(shape = [], init = 1.0)]
    scale: Variable,
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.drop.call(&self.down.call(&self.up.call(x)?)?)? * &self.scale + x)
    }
}

impl Layer for Own {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.first.call(x)?;
        let x = self.lists.iter().try_fold(x, |x, layer| layer.call(&x))?;
        let x = self.residual.call(&self.residual.call(&x)?)?;
        let (_, states) = self.lstm.with_states().call(&(x.expand_dims(1)?, None))?;
        self.flat.call(&self.head.call(&x)?)?.add(&states[0])
    }
}

fn residual() -> Residual {
    let (up, down, drop) = (Dense::new(16), Dense::new(8), Dropout::new(0.1));
    Residual { up, down, drop, scale: Variable::default() }.declared()
}

fn own() -> Own {
    Own {
        first: Dense::new(8),
        lists: vec![Dense::new(6), Dense::new(8)],
        residual: residual(),
        head: Sequential::new().add(Dense::new(5).activation("relu")).add(Dense::new(2)),
        flat: Flatten::new(),
        never: Dense::new(3),
        lstm: LSTM::new(2),
    }
}

#[test]
fn a_table_of_a_struct_has_the_shapes_of_what_is_called() -> Result<()> {
    let shapes = |summary: &Summary| -> Vec<String> {
        let said = |shape: &modulor::Shape| shape.to_string();
        let of = |row: &modulor::keras::model::Row| {
            format!("{} {}", row.name, row.output_shapes.iter().map(said).collect::<Vec<_>>().join(" "))
        };
        summary.rows().iter().map(of).collect()
    };
    let model = own();
    let x = Tensor::zeros([5, 4], DType::F32)?;
    let before = model.summary_on(&x)?;
    assert!(model.variables().iter().all(|variable| !variable.is_valued()), "nothing is drawn for a table");
    model.call(&x)?;
    let after = model.summary_on(&x)?;
    // What Keras 3.15 prints of the same class: `?` for what is not called, and, other than here, for layers of one's own.
    let expected = [
        "first (5, 8)",
        "lists/0 (5, 6)",
        "lists/1 (5, 8)",
        "residual (5, 8)",
        "up (5, 16)",
        "down (5, 8)",
        "drop (5, 8)",
        "head (5, 2)",
        "dense (5, 5)",
        "dense_1 (5, 2)",
        "flat (5, 2)",
        "never ",
        "lstm (5, 2) (5, 2) (5, 2)",
    ];
    assert_eq!(shapes(&after), expected);
    assert_eq!(shapes(&before)[..4], expected[..4]);
    // Its own variable has no value before it is called, and so what is in there is not seen yet.
    assert_eq!(shapes(&before)[4..7], ["up ", "down ", "drop "]);
    let table = after.expand_nested(true).line_length(76).to_string();
    assert!(table.contains("│ never (Dense)                   │ ?                      │   0 (unbuilt) │"), "{table}");
    assert!(table.contains("   └ up (Dense)"), "{table}");
    let any = model.summary_on(Input::new([4]))?;
    assert_eq!(shapes(&any)[0], "first (None, 8)");
    assert!(model.summary_on(Input::new([3])).is_err(), "it was built for 4");
    // In a model, and one after the other, it is looked into as well.
    let x = Input::new([4]);
    let within = Model::new(&x, &model.call(&x)?)?.summary();
    assert!(shapes(&within).contains(&"up (None, 16)".to_owned()), "{within:?}");
    let chain = Sequential::new().input([8]).add(residual());
    chain.call(Tensor::zeros([2, 8], DType::F32)?)?;
    assert!(shapes(&chain.summary()).contains(&"up (None, 16)".to_owned()));
    Ok(())
}

#[test]
fn a_picture_of_a_struct_has_its_calls_with_the_names_of_its_fields() -> Result<()> {
    let plot = plot_model_on(&block(), Input::new([None, Some(32)]))?;
    let svg = plot.to_svg();
    assert_eq!(count(&svg, ">attention<") + count(&svg, ">norm_1<") + count(&svg, ">norm_2<"), 3, "{svg}");
    assert!(svg.contains("None×None×32 → None×None×128"), "{svg}");
    assert_eq!(count(&svg, "class=\"model\""), 1, "the feed-forward part is a frame");
    assert_eq!(count(&svg, ">dropout<"), 2, "{svg}");
    /// Looks at values.
    #[derive(Module)]
    struct Peeking(Dense);
    impl Layer for Peeking {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            let y: Tensor = self.0.call(x)?;
            if y.sum(..)?.item::<f32>()? > 0.0 { Ok(y) } else { Ok(-y) }
        }
    }
    assert!(plot_model_on(&Peeking(Dense::new(2)), Input::new([3])).is_err());
    // What is known without being called on anything stays so.
    let model = two_branches()?;
    assert_eq!(plot_model_on(&model, Input::new([28, 28, 1]))?.to_svg(), plot_model(&model)?.to_svg());
    Ok(())
}

/// The pictures and tables in the documentation are those that are made now.
///
/// `MODULOR_PICTURES=overwrite cargo test --test main model::plot` writes them anew.
#[test]
fn pictures_in_the_documentation_are_up_to_date() -> Result<()> {
    let (branches, nested, block) = (two_branches()?, nested()?, block());
    let x = Input::new([None, Some(32)]);
    let shown: [(&str, &str, Plot, Summary); 3] = [
        ("two_branches", "A model with two branches:", plot_model(&branches)?, branches.summary()),
        (
            "nested",
            "Models in a model, one of them called twice:",
            plot_model(&nested)?,
            nested.summary().expand_nested(true),
        ),
        (
            "transformer",
            "A block of a transformer, which is a struct, by `plot_model_on(&block, &Input::new([None, Some(32)]))`:",
            plot_model_on(&block, &x)?,
            block.summary_on(&x)?.expand_nested(true),
        ),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("layers/docs");
    let mut text = "# Pictures and tables\n".to_owned();
    let overwrites = std::env::var("MODULOR_PICTURES").is_ok_and(|way| way == "overwrite");
    let agrees = |name: &str, made: &str| {
        let path = folder.join(name);
        if overwrites {
            std::fs::write(&path, made).expect("the folder can be written");
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == made, "{} is not what is made now: MODULOR_PICTURES=overwrite writes it", path.display());
    };
    for (name, about, plot, summary) in shown {
        let svg = plot.to_svg();
        agrees(&format!("{name}.svg"), &svg);
        let table = summary.line_length(92).to_string();
        let address = address(&svg);
        write!(text, "\n{about}\n\n<img alt=\"{name}\" src=\"{address}\">\n\n```text\n{table}```\n")
            .expect("it is a text");
    }
    agrees("pictures.md", &text);
    Ok(())
}

/// A picture as the address of itself.
fn address(svg: &str) -> String {
    let mut address = "data:image/svg+xml,".to_owned();
    for byte in svg.bytes() {
        match byte {
            b'<' | b'>' | b'"' | b'#' | b'%' | b'&' | b'\n' | b'|' | 0x7f.. => {
                write!(address, "%{byte:02X}").expect("it is a text");
            }
            byte => address.push(byte as char),
        }
    }
    address
}
