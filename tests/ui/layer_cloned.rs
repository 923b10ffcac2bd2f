// Not of core: it is about the library of layers.
use modulor::prelude::*;

fn main() {
    let _ = vec![Dense::new(3); 4];
}
