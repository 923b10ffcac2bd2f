//! What layers make of inputs with a mask, and which mask goes on.

use super::layer::{config, give};
use super::*;
use modulor::module::Track;
use modulor::{Call, Layer, scope};

/// Calls the layer of a row, with the weights of the row that it is like.
fn call<In: modulor::Structure>(of: &Row, x: &In) -> Tensor {
    let layer =
        <Box<dyn Layer<In, Tensor>>>::from_field(Some(&config(of))).unwrap_or_else(|e| panic!("{}: {e}", of.case));
    let training = of.get::<Option<bool>>("training") == Some(true);
    let call = || scope::with_training(training, || layer.call(x)).unwrap_or_else(|e| panic!("{}: {e}", of.case));
    call();
    if of.values.contains_key("weights") {
        give(layer.as_module(), of);
    }
    call()
}

#[test]
fn masks_go_where_they_go_in_keras() {
    let mut wrong = Vec::new();
    let (mut count, mut passed) = (0, 0);
    for row in rows("masked") {
        let of = like(row);
        let masks: Vec<Entry> = row.get("masks");
        let y = match &*of.kind {
            "merging" => {
                let inputs = of.get::<Vec<Entry>>("inputs");
                let inputs = inputs.iter().zip(&masks).map(|(x, mask)| tensor(x).with_mask(Some(tensor(mask))));
                call(of, &inputs.collect::<Vec<_>>())
            }
            _ => call(of, &of.tensor("x").expect("an input").with_mask(Some(tensor(&masks[0])))),
        };
        let masks = [y.mask().cloned(), row.tensor("output_mask")];
        passed += usize::from(masks[1].is_some());
        let masks = masks.map(|mask| mask.map(|mask| (mask.shape().clone(), to_f64(&mask))));
        if masks[0] != masks[1] {
            wrong.push(format!("mask of {}: {:?} is not {:?}", row.case, masks[0], masks[1]));
        }
        assert_near(&y, &row.tensor("y").expect("an output"), 4e-6, &row.case);
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100 && passed > 20, "{count}, {passed} with a mask");
}
