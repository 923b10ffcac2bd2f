//! Means of areas: against integrals in float64, and the same bits by any number of threads.

use std::sync::Mutex;

use modulor_kernels::{Area, area_means, set_num_threads};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i.wrapping_mul(2654435761) >> 7 & 0xffff) as f32 / 4096.0 - 8.0).collect()
}

fn means(x: &[f32], batch: usize, areas: [Area; 2], channels: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; batch * areas[0].to * areas[1].to * channels];
    area_means(x, &mut out, areas, channels);
    out
}

/// How much of each place of an image is in a place of the result, beyond the last of which the last goes on.
fn parts(area: &Area, at: usize) -> Vec<f64> {
    let (from, to) = (area.from as f64, area.to as f64);
    let scale = if area.align_corners && area.to > 1 { (from - 1.0) / (to - 1.0) } else { from / to };
    let (begin, end) = (at as f64 * scale, (at as f64 + 1.0) * scale);
    let part = |place: usize| {
        let behind = if place + 1 == area.from { f64::INFINITY } else { place as f64 + 1.0 };
        (behind.min(end) - begin.max(place as f64)).max(0.0) / scale
    };
    (0..area.from).map(part).collect()
}

#[test]
fn places_are_means_of_what_they_cover() {
    let sizes = [(1, 1), (1, 4), (4, 1), (5, 5), (7, 16), (17, 6), (40, 3)];
    for align_corners in [false, true] {
        let areas = sizes.map(|(from, to)| Area { from, to, align_corners });
        for rows in areas {
            for columns in areas {
                let one_to_many = |area: &Area| align_corners && area.from == 1 && area.to > 1;
                for (batch, channels) in [(1, 1), (2, 3), (1, 17)] {
                    let x = values(batch * rows.from * columns.from * channels);
                    let found = means(&x, batch, [rows, columns], channels);
                    if one_to_many(&rows) || one_to_many(&columns) {
                        assert!(found.iter().all(|y| y.is_nan()), "{rows:?} {columns:?}");
                        continue;
                    }
                    for (at, found) in found.into_iter().enumerate() {
                        let (image, channel) = (at / (rows.to * columns.to * channels), at % channels);
                        let (row, column) = (at / (columns.to * channels) % rows.to, at / channels % columns.to);
                        let mut expected = 0.0;
                        for (down, height) in parts(&rows, row).into_iter().enumerate() {
                            for (across, width) in parts(&columns, column).into_iter().enumerate() {
                                let place = ((image * rows.from + down) * columns.from + across) * channels + channel;
                                expected += f64::from(x[place]) * height * width;
                            }
                        }
                        let error = (f64::from(found) - expected).abs();
                        assert!(error < 1e-4, "{rows:?} {columns:?} {at}: {found} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let _alone = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let areas = [Area { from: 301, to: 97, align_corners: false }, Area { from: 97, to: 61, align_corners: true }];
    let x = values(2 * 301 * 97 * 5);
    let all = [1, 2, 3, 4, 8].map(|threads| {
        set_num_threads(threads);
        means(&x, 2, areas, 5)
    });
    set_num_threads(1);
    assert!(all.iter().all(|one| one.iter().map(|x| x.to_bits()).eq(all[0].iter().map(|x| x.to_bits()))));
}

#[test]
fn nothing_is_made_of_nothing() {
    let area = Area { from: 3, to: 2, align_corners: false };
    assert!(means(&[], 0, [area, area], 4).is_empty());
}
