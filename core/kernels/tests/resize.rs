//! Images of other sizes: against plain loops in float64, and the same bits by any number of threads.

use std::sync::Mutex;

use modulor_kernels::{Grid, Interpolation, Resampling, Resize, Resized, set_num_threads};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

const INTERPOLATIONS: [Interpolation; 3] = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic];
const GRIDS: [Grid; 3] = [Grid::TopLeft, Grid::AlignCorners, Grid::HalfPixelCenters];

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i.wrapping_mul(2654435761) >> 7 & 0xffff) as f32 / 4096.0 - 8.0).collect()
}

fn filtered(how: Resize, sizes: Resized, x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; sizes.outputs()];
    how.filter(&sizes, x, &mut out, &mut vec![[u32::MAX; 2]; how.scratch(&sizes)]);
    out
}

/// Where place `at` of `to` lies among `from`.
fn position(grid: Grid, from: usize, to: usize, at: usize) -> f64 {
    match grid {
        Grid::AlignCorners if to > 1 => at as f64 * (from - 1) as f64 / (to - 1) as f64,
        Grid::HalfPixelCenters => (at as f64 + 0.5) * from as f64 / to as f64 - 0.5,
        _ => at as f64 * from as f64 / to as f64,
    }
}

#[test]
fn a_bilinear_place_lies_between_its_neighbours() {
    for grid in GRIDS {
        for (from, to) in [([2, 3], [5, 7]), ([7, 5], [3, 2]), ([1, 4], [3, 1]), ([3, 3], [3, 3])] {
            for channels in [1, 3, 16, 17] {
                let sizes = Resized { batch: 2, from, to, channels };
                let x = values(sizes.inputs());
                let found = filtered(Resize { interpolation: Interpolation::Bilinear, grid }, sizes, &x);
                for (i, &found) in found.iter().enumerate() {
                    let (channel, place) = (i % channels, i / channels);
                    let (column, row) = (place % to[1], place / to[1] % to[0]);
                    let image = place / (to[0] * to[1]);
                    let at = |row: f64, column: f64| {
                        let clamp = |at: f64, count: usize| (at.max(0.0) as usize).min(count - 1);
                        let (row, column) = (clamp(row, from[0]), clamp(column, from[1]));
                        f64::from(x[((image * from[0] + row) * from[1] + column) * channels + channel])
                    };
                    let (y, x) = (position(grid, from[0], to[0], row), position(grid, from[1], to[1], column));
                    let between = |y: f64| at(y, x.floor()) + (at(y, x.ceil()) - at(y, x.floor())) * (x - x.floor());
                    let expected = between(y.floor()) + (between(y.ceil()) - between(y.floor())) * (y - y.floor());
                    assert!((f64::from(found) - expected).abs() < 2e-5, "{grid:?} {from:?} {to:?} {i}");
                }
            }
        }
    }
}

#[test]
fn a_bicubic_image_of_the_same_size_is_the_image() {
    let sizes = Resized { batch: 1, from: [5, 4], to: [5, 4], channels: 3 };
    let x = values(sizes.inputs());
    for grid in GRIDS {
        assert_eq!(filtered(Resize { interpolation: Interpolation::Bicubic, grid }, sizes, &x), x);
    }
}

#[test]
fn nearest_places_are_copied_whatever_their_bytes_are() {
    let sizes = Resized { batch: 1, from: [1, 3], to: [2, 6], channels: 2 };
    let x: Vec<u8> = (0..18).collect();
    let mut out = [255; 72];
    let how = Resize { interpolation: Interpolation::Nearest, grid: Grid::HalfPixelCenters };
    how.nearest(&sizes, 3, &x, &mut out);
    let row: Vec<u8> = [0, 0, 1, 1, 2, 2].iter().flat_map(|place| (0..6).map(move |i| place * 6 + i)).collect();
    assert_eq!(out[..36], row);
    assert_eq!(out[36..], row);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let _alone = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let sizes = Resized { batch: 5, from: [37, 41], to: [61, 53], channels: 7 };
    let (x, dy) = (values(sizes.inputs()), values(sizes.outputs()));
    let wide: Vec<f64> = dy.iter().map(|&dy| dy.into()).collect();
    for interpolation in INTERPOLATIONS {
        let how = Resize { interpolation, grid: Grid::HalfPixelCenters };
        let all = [1, 2, 3, 4, 8].map(|threads| {
            set_num_threads(threads);
            let mut room = vec![[7; 2]; how.scratch(&sizes)];
            let mut own = vec![f32::NAN; sizes.inputs()];
            let (mut nearest, mut doubles) = (own.clone(), vec![f64::NAN; sizes.inputs()]);
            f32::filter_gradient(&how, &sizes, &dy, &mut own, &mut room);
            f64::filter_gradient(&how, &sizes, &dy, &mut doubles, &mut room);
            let nearest_of = Resize { interpolation: Interpolation::Nearest, ..how };
            f32::nearest_gradient(&nearest_of, &sizes, &dy, &mut nearest, &mut room);
            let mut bytes = vec![0_u8; sizes.outputs() * 4];
            how.nearest(&sizes, 4, bytemuck::cast_slice(&x), &mut bytes);
            (filtered(how, sizes, &x), own, doubles, nearest, bytes)
        });
        assert!(all.iter().all(|one| *one == all[0]), "{interpolation:?}");
        let mut nearest = vec![f64::NAN; sizes.inputs()];
        let of = Resize { interpolation: Interpolation::Nearest, ..how };
        f64::nearest_gradient(&of, &sizes, &wide, &mut nearest, &mut vec![[7; 2]; of.scratch(&sizes)]);
        for (narrow, wide) in all[0].3.iter().zip(&nearest) {
            assert!((f64::from(*narrow) - wide).abs() < 1e-4);
        }
    }
    set_num_threads(1);
}

#[test]
fn nothing_is_resized_to_nothing() {
    for interpolation in INTERPOLATIONS {
        let how = Resize { interpolation, grid: Grid::TopLeft };
        let sizes = Resized { batch: 0, from: [2, 2], to: [3, 3], channels: 1 };
        assert_eq!(filtered(how, sizes, &[]), []);
        let sizes = Resized { batch: 1, from: [2, 2], to: [3, 3], channels: 0 };
        f32::filter_gradient(&how, &sizes, &[], &mut [], &mut vec![[0; 2]; how.scratch(&sizes)]);
    }
}
