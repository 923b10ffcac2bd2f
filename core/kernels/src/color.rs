//! Colors as red, green and blue, and as hue, saturation and value.

use half::{bf16, f16};

use crate::narrow::Half;
use crate::parts::{Matrix, by_rows};

/// The numbers of colors: `f32`, `f64`, and `f16` and `bf16`, which are computed in `f32` and rounded once.
pub trait Color: Sized {
    /// Writes hue, saturation and value of colors, three numbers each: TensorFlow's `RGBToHSV`. The greatest and the least of
    /// three are those of what follows the last NaN; without a range between them, or where it is NaN, the hue is 0.
    ///
    /// # Panics
    /// When the lengths differ or are no multiples of 3.
    fn rgb_to_hsv(x: &[Self], out: &mut [Self]);

    /// Writes red, green and blue of colors, three numbers each: TensorFlow's `HSVToRGB`.
    ///
    /// # Panics
    /// When the lengths differ or are no multiples of 3.
    fn hsv_to_rgb(x: &[Self], out: &mut [Self]);
}

/// Some ten operations and as many reads, for each number.
const WORK: usize = 16;

fn each<T: Copy + Send + Sync>(x: &[T], out: &mut [T], of: impl Fn([T; 3]) -> [T; 3] + Sync) {
    assert!(x.len() == out.len() && x.len().is_multiple_of(3), "colors of three numbers each");
    by_rows(x.len() / 3, x.len().saturating_mul(WORK), Matrix::new(out, 3), |range, out| {
        let x = &x[3 * range.start..3 * range.end];
        for (x, out) in x.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
            *out = of(*x);
        }
    });
}

macro_rules! colors {
    ($($t:ident as $wide:ident $widen:expr, $narrow:expr;)*) => { $(
        impl Color for $t {
            fn rgb_to_hsv(x: &[Self], out: &mut [Self]) {
                each(x, out, |rgb| {
                    let [r, g, b]: [$wide; 3] = rgb.map($widen);
                    let greater = |a: $wide, b: $wide| if a > b { a } else { b };
                    let less = |a: $wide, b: $wide| if a < b { a } else { b };
                    let value = greater(greater(r, g), b);
                    let range = value - less(less(r, g), b);
                    let saturation = if value > 0.0 { range / value } else { 0.0 };
                    let norm = range.recip() * (1.0 / 6.0);
                    let hue = if range > 0.0 {
                        if r == value {
                            norm * (g - b)
                        } else if g == value {
                            norm * (b - r) + 2.0 / 6.0
                        } else {
                            norm * (r - g) + 4.0 / 6.0
                        }
                    } else {
                        0.0
                    };
                    [if hue < 0.0 { hue + 1.0 } else { hue }, saturation, value].map($narrow)
                });
            }

            fn hsv_to_rgb(x: &[Self], out: &mut [Self]) {
                each(x, out, |hsv| {
                    let [hue, saturation, value]: [$wide; 3] = hsv.map($widen);
                    let sixths = hue * 6.0;
                    let bound = |x: $wide| x.clamp(0.0, 1.0);
                    let red = bound((sixths - 3.0).abs() - 1.0);
                    let green = bound(2.0 - (sixths - 2.0).abs());
                    let blue = bound(2.0 - (sixths - 4.0).abs());
                    [red, green, blue].map(|part| $narrow(((1.0 - saturation) + saturation * part) * value))
                });
            }
        }
    )* };
}
colors! {
    f32 as f32 |x| x, |x: f32| x;
    f64 as f64 |x| x, |x: f64| x;
    f16 as f32 Half::widen, Half::narrow;
    bf16 as f32 Half::widen, Half::narrow;
}
