//! What a region of the pool costs, and what is left of a product's speed beside two busy processes.

use std::hint::black_box;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use modulor_kernels::{Number, Strided, run_region, set_num_threads};

/// The argument by which this program is a busy process.
pub const BUSY: &str = "busy";

/// Keeps a core busy until it is killed.
pub fn busy() -> ! {
    let mut x = 1_u64;
    loop {
        x = black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1));
    }
}

/// Processes that end with the value.
struct Neighbours(Vec<Child>);

impl Neighbours {
    fn new(count: usize) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        Self((0..count).map(|_| Command::new(&program).arg(BUSY).spawn().expect("it starts")).collect())
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().and_then(|()| child.wait()).expect("it is ours");
        }
    }
}

/// Nanoseconds of a region of two chunks, one right after the other: the median of batches.
fn region(chunk: impl Fn(usize) + Sync) -> f64 {
    let mut batches: Vec<f64> = (0..101)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..1000 {
                run_region(2, &|index, _| chunk(index));
            }
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

/// Products of 256 × 256 matrices per second, over two seconds.
fn products() -> f64 {
    let n = 256;
    let (a, b) = (vec![0.5_f32; n * n], vec![0.25_f32; n * n]);
    let (mut out, mut scratch) = (vec![0.0; n * n], vec![0.0; f32::matmul_scratch(n, n, n)]);
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(2) {
        let (shape, strides) = ([n, n], [n as isize, 1]);
        let [a, b] = [&a, &b].map(|x| Strided::new(x, &shape, &strides, 0).expect("in bounds"));
        f32::matmul(a, b, &mut out, &mut scratch);
        black_box(&out);
        calls += 1;
    }
    f64::from(calls) / start.elapsed().as_secs_f64()
}

/// Prints all of it.
pub fn measure() {
    set_num_threads(2);
    println!("an empty region: {:.0} ns", region(|chunk| _ = black_box(chunk)));
    // Each chunk waits for the other to begin, so that both threads take part.
    let begun = AtomicUsize::new(0);
    let meeting = region(|_| {
        let regions = begun.fetch_add(1, Ordering::SeqCst) / 2;
        while begun.load(Ordering::SeqCst) < 2 * regions + 2 {
            std::hint::spin_loop();
        }
    });
    println!("one in which two threads meet: {meeting:.0} ns");
    let alone = products();
    let crowded = {
        let _neighbours = Neighbours::new(2);
        std::thread::sleep(Duration::from_millis(200));
        products()
    };
    set_num_threads(1);
    let single = {
        let _neighbours = Neighbours::new(2);
        std::thread::sleep(Duration::from_millis(200));
        products()
    };
    println!("products of 256 × 256 on two threads of two cores: {alone:.0} a second alone");
    println!("{crowded:.0} beside two busy processes, {:.0} % of half of that", 200.0 * crowded / alone);
    println!("{single:.0} on one thread beside them");
}
