use super::layer::config;
use super::*;
use modulor::keras::library::{self, Add, Average, Concatenate, Dot, Multiply, Subtract};
use modulor::module::Track;
use modulor::{Call, Layer};

type Merging = Box<dyn Layer<Vec<Tensor>, Tensor>>;

/// The inputs of a row with their masks.
pub fn inputs(row: &Row) -> Vec<Tensor> {
    let masks = row.get::<Vec<Option<Entry>>>("masks").into_iter().map(|mask| mask.as_ref().map(tensor));
    row.get::<Vec<Entry>>("inputs").iter().zip(masks).map(|(x, mask)| tensor(x).with_mask(mask)).collect()
}

#[test]
fn merging_layers_compute_what_kerass_do() {
    let (mut masked, mut count) = (0, 0);
    for row in rows("merging") {
        let layer = Merging::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let inputs = inputs(row);
        let tape = GradientTape::new();
        inputs.iter().for_each(|x| tape.watch(x));
        let y = tape.record(|| layer.call(&inputs)).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let masks = [y.mask().cloned(), row.tensor("output_mask")];
        masked += usize::from(masks[1].is_some());
        let masks = masks.map(|mask| mask.map(|mask| (mask.shape().clone(), to_f64(&mask))));
        assert_eq!(masks[0], masks[1], "mask of {}", row.case);
        let tolerance = 16.0 * epsilon(y.dtype());
        assert_near(&y, &row.tensor("reference").expect("a reference"), tolerance, &row.case);
        let dy = row.tensor("dy").expect("a cotangent").cast(y.dtype()).expect("floats");
        let gradients = tape.gradients_with(
            &[(y, Some(dy))],
            inputs.iter().map(|x| x as &dyn modulor::tape::Source),
            UnconnectedGradients::Zero,
        );
        let gradients = gradients.unwrap_or_else(|e| panic!("{}: {e}", row.case));
        for (source, (found, expected)) in gradients.iter().zip(row.get::<Vec<Entry>>("grads")).enumerate() {
            let about = format!("gradient {source} of {}", row.case);
            assert_near(found.as_ref().expect("zeros at least"), &tensor(&expected), 8.0 * tolerance, &about);
        }
        count += 1;
    }
    assert!(count > 140 && masked > 20, "{count}, {masked} with a mask");
}

#[test]
fn a_function_is_its_layer() {
    let (a, b) = (Tensor::from([[1.0_f32, 6.0]]), Tensor::from([[3.0_f32, 2.0]]));
    let rows: [(Result<Tensor>, &[f32]); 8] = [
        (library::add([&a, &b]), &[4.0, 8.0]),
        (library::subtract([&a, &b]), &[-2.0, 4.0]),
        (library::multiply([&a, &b]), &[3.0, 12.0]),
        (library::average([&a, &b]), &[2.0, 4.0]),
        (library::maximum([&a, &b]), &[3.0, 6.0]),
        (library::minimum([&a, &b]), &[1.0, 2.0]),
        (library::concatenate([&a, &b], 0), &[1.0, 6.0, 3.0, 2.0]),
        (library::dot([&a, &b], 1), &[15.0]),
    ];
    for (y, expected) in rows {
        assert_eq!(y.and_then(|y| y.to_vec::<f32>()).expect("it fits"), expected);
    }
}

#[test]
fn what_a_merging_layer_cannot_do_it_says() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32).expect("zeros");
    let (a, b, c) = (zeros(&[2, 3]), zeros(&[2, 4]), zeros(&[1, 3]));
    let (d, e) = (zeros(&[2, 3, 4]), zeros(&[2]));
    let rows: [(Merging, Vec<&Tensor>, &str); 13] = [
        (Box::new(Add::new()), vec![], "a list of at least 1 tensors, found 0"),
        (Box::new(Concatenate::new()), vec![], "a list of at least 1 tensors, found 0"),
        (Box::new(Subtract::new()), vec![&a], "a list of exactly 2 tensors, found 1"),
        (Box::new(Subtract::new()), vec![&a, &a, &a], "a list of exactly 2 tensors, found 3"),
        (Box::new(Dot::new(1)), vec![&a], "a list of exactly 2 tensors, found 1"),
        (Box::new(Average::new()), vec![&a, &c], "must have one batch size, found shapes (2, 3), (1, 3)"),
        (Box::new(Multiply::new()), vec![&a, &b], "Mul"),
        (Box::new(Concatenate::new().axis(0)), vec![&a, &b], "ConcatV2"),
        (Box::new(Dot::new(1)), vec![&a, &b], "must be equally long, found shapes (2, 3) and (2, 4)"),
        (Box::new(Dot::new(0)), vec![&a, &a], "`axes` must be of a sample, which that of the batch is not, found 0"),
        (Box::new(Dot::new([1, 3])), vec![&a, &d], "found 3 for an input of shape (2, 3, 4)"),
        (Box::new(Dot::new([1, 1, 1])), vec![&a, &a], "`axes` must be one for both inputs, or one of each"),
        (Box::new(Dot::new(-1)), vec![&e, &e], "found -1 for an input of shape (2,)"),
    ];
    for (layer, inputs, words) in rows {
        let inputs: Vec<Tensor> = inputs.into_iter().cloned().collect();
        let error = layer.call(&inputs).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
