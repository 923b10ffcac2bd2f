// The compiler's own words. The derive cannot say better ones as the library's layers do (`layer_cloned`): that takes an
// `impl Clone` that never holds, which would collide with a `#[derive(Clone)]` of the user's, and a derive does not see
// which others there are. Its documentation says what to do.
extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct Pass;

impl Layer for Pass {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

fn main() {
    let _ = vec![Pass; 4];
}
