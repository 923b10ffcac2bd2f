//! The kernels beside what else there is.
//!
//! `kernels-bench products [THREADS] [ROUNDS]`, `convolution [THREADS] [ROUNDS] [PART OF A NAME]`,
//! `elementwise [PART OF A NAME]`, `pool`.

mod convolution;
mod elementwise;
mod pool;
mod products;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize| arguments.get(i).map_or("", String::as_str);
    let number = |i: usize, or: usize| arguments.get(i).map_or(or, |n| n.parse().expect("a number"));
    match argument(0) {
        pool::BUSY => pool::busy(),
        "products" => products::measure(number(1, 1), number(2, 7)),
        "convolution" => convolution::measure(number(1, 1), number(2, 7), argument(3)),
        "elementwise" => elementwise::measure(argument(1)),
        "pool" => pool::measure(),
        other => panic!("`products`, `convolution`, `elementwise` or `pool`, not {other:?}"),
    }
}
