use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[skip]
    cache: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    #[skip(default = std::time::Instant::now())]
    since: std::time::Instant,
    #[skip]
    mark: std::marker::PhantomData<u8>,
    w: Variable,
}

fn main() {}
