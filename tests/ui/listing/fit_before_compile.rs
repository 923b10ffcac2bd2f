use modulor::prelude::*;

fn main() -> Result<()> {
    let model = Dense::new(3);
    let x = Tensor::from([[1.0_f32, 2.0]]);
    model.fit(&x, &x);
    Ok(())
}
