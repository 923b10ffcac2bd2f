//! Images under projective maps: against plain loops, and the same bits by any number of threads.

use std::sync::Mutex;

use modulor_kernels::{Color, FillMode, Projected, Projection, Resized, set_num_threads};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

const MODES: [FillMode; 4] = [FillMode::Constant, FillMode::Reflect, FillMode::Wrap, FillMode::Nearest];
const FILL: f32 = -7.0;

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i.wrapping_mul(2654435761) >> 7 & 0xffff) as f32 / 4096.0 - 8.0).collect()
}

fn projected(how: Projection, sizes: Resized, x: &[f32], maps: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; sizes.outputs()];
    f32::project(how, &sizes, x, maps, FILL, &mut out);
    out
}

/// The place that stands for place `at` of an axis, if one does.
fn stands_for(mode: FillMode, at: i64, len: i64) -> Option<i64> {
    match mode {
        FillMode::Constant => (0..len).contains(&at).then_some(at),
        FillMode::Nearest => Some(at.clamp(0, len - 1)),
        FillMode::Wrap => Some(at.rem_euclid(len)),
        FillMode::Reflect => {
            let at = at.rem_euclid(2 * len);
            Some(if at < len { at } else { 2 * len - 1 - at })
        }
    }
}

#[test]
fn whole_steps_move_an_image_and_what_lies_beyond_it() {
    for mode in MODES {
        for (from, channels) in [([4, 5], 3), ([1, 3], 1), ([7, 1], 2), ([16, 17], 16)] {
            let sizes = Resized { batch: 2, from, to: [from[0] + 1, from[1]], channels };
            let x = values(sizes.inputs());
            for steps in [[0, 0], [1, -2], [-3, 1], [2, 2]] {
                let map = [1.0, 0.0, steps[1] as f32, 0.0, 1.0, steps[0] as f32, 0.0, 0.0];
                for bilinear in [false, true] {
                    let found = projected(Projection { bilinear, fill_mode: mode }, sizes, &x, &map);
                    for (i, &found) in found.iter().enumerate() {
                        let (channel, place) = (i % channels, i / channels);
                        let (column, row) = (place % from[1], place / from[1] % sizes.to[0]);
                        let image = place / (from[1] * sizes.to[0]);
                        let (row, column) = (row as i64 + steps[0], column as i64 + steps[1]);
                        // Farther away TensorFlow counts lengths of one place less.
                        let is_near = |at: i64, len: usize| 1 - (len as i64) < at && at < 2 * len as i64 - 2;
                        if mode == FillMode::Wrap && !(is_near(row, from[0]) && is_near(column, from[1])) {
                            continue;
                        }
                        let row = stands_for(mode, row, from[0] as i64);
                        let column = stands_for(mode, column, from[1] as i64);
                        let expected = row.zip(column).map_or(FILL, |(row, column)| {
                            x[((image * from[0] + row as usize) * from[1] + column as usize) * channels + channel]
                        });
                        assert_eq!(found, expected, "{mode:?} {from:?} {steps:?} {bilinear} {i}");
                    }
                }
            }
        }
    }
}

#[test]
fn half_a_step_is_the_mean_of_two_and_a_perspective_divides() {
    let sizes = Resized { batch: 1, from: [1, 4], to: [1, 4], channels: 1 };
    let how = Projection { bilinear: true, fill_mode: FillMode::Constant };
    let x = [1.0, 3.0, 5.0, 11.0];
    let half = projected(how, sizes, &x, &[1.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(half, [2.0, 4.0, 8.0, (11.0 + FILL) / 2.0]);
    // Places 0 to 3 are divided by 1 to 4, then by 1, 0, -1 and -2.
    let by = projected(how, sizes, &x, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let expected = [1.0, 2.0, 1.0 + 4.0 / 3.0, 2.5];
    by.iter().zip(expected).for_each(|(found, expected): (&f32, f32)| assert!((found - expected).abs() < 1e-6));
    let by = projected(how, sizes, &x, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0]);
    assert_eq!(by[1], FILL);
    let nothing = projected(how, sizes, &x, &[f32::NAN; 8]);
    assert!(nothing.iter().all(|x| x.is_nan()));
    let mut out = [9_u8; 4];
    u8::project(how, &sizes, &[1, 3, 6, 255], &[1.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0], 0, &mut out);
    assert_eq!(out, [2, 4, 130, 127]);
}

#[test]
fn colors_come_back() {
    for count in [0, 1, 2, 7, 1000] {
        let x: Vec<f32> = values(3 * count).into_iter().map(|x| (x + 8.0) / 16.0).collect();
        let (mut hsv, mut rgb) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        f32::rgb_to_hsv(&x, &mut hsv);
        f32::hsv_to_rgb(&hsv, &mut rgb);
        for (i, (found, expected)) in rgb.iter().zip(&x).enumerate() {
            assert!((found - expected).abs() < 1e-6, "{i}: {found} {expected}");
        }
        for (rgb, hsv) in x.chunks(3).zip(hsv.chunks(3)) {
            let greatest = rgb.iter().fold(0.0_f32, |most, &x| most.max(x));
            assert_eq!(hsv[2], greatest);
            assert!((0.0..=1.0).contains(&hsv[0]) && (0.0..=1.0).contains(&hsv[1]));
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let _alone = THREADS.lock().unwrap_or_else(|e| e.into_inner());
    let sizes = Resized { batch: 3, from: [67, 71], to: [73, 61], channels: 5 };
    let (x, colors) = (values(sizes.inputs()), values(3 * 40_009));
    let turn = [0.8, -0.6, 20.0, 0.6, 0.8, -9.0, 0.001, -0.002];
    let maps = [turn, turn.map(|x| x * 1.5), turn.map(|x| -x)].concat();
    let mut first = None;
    for threads in [1, 2, 3, 4, 8] {
        set_num_threads(threads);
        let mut all = Vec::new();
        for fill_mode in MODES {
            for bilinear in [false, true] {
                all.extend(projected(Projection { bilinear, fill_mode }, sizes, &x, &maps));
            }
        }
        let (mut hsv, mut rgb) = (vec![f32::NAN; colors.len()], vec![f32::NAN; colors.len()]);
        f32::rgb_to_hsv(&colors, &mut hsv);
        f32::hsv_to_rgb(&colors, &mut rgb);
        let bits: Vec<u32> = all.iter().chain(&hsv).chain(&rgb).map(|x| x.to_bits()).collect();
        assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{threads} threads");
    }
    set_num_threads(1);
}
