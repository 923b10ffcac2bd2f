//! The walk of AVX-512's tall tiles along k, written out.
//!
//! Two multiplications begin at a time, and a row of a tile is one term of the left factor for two of them. What finds the terms and
//! moves on takes its turn where they are multiplied, so there is to be little of it: an address is made of a pointer, one or two
//! times a step, and a number that is known, so that four pointers reach twelve rows and [`AT_ONCE`] places, and nothing moves
//! between those. Left to the compiler, each row's address is the one before and the step, twelve additions at each place that
//! wait for each other.

use std::arch::x86_64::{__m512, __m512d};
use std::array::from_fn;
use std::ops::RangeInclusive;

use super::tile::{MAX_ROWS, POINTERS};

/// The rows that one pointer reaches.
const NEAR: usize = 3;
/// The places along k that are written out one after the other.
pub(super) const AT_ONCE: usize = 4;
/// The registers of sums: of two vectors for each row.
pub(super) const SUMS: usize = 2 * MAX_ROWS;
/// The rows of tall tiles: more than have a pointer each.
pub(super) const TALL: RangeInclusive<usize> = POINTERS + 1..=MAX_ROWS;

/// What is walked through.
pub(super) struct Walk<T> {
    /// The first row's first term, and how far on the next row's is; the terms of a row lie side by side.
    pub(super) a: *const T,
    pub(super) a_row: isize,
    /// Two vectors side by side, and how far on they are at the next place.
    pub(super) b: *const T,
    pub(super) b_step: isize,
    /// What is fetched at the first place, and how far on at the next.
    pub(super) next: *const T,
    pub(super) next_step: isize,
    /// How many times [`AT_ONCE`] places there are.
    pub(super) count: usize,
}

/// A row's products at one place: its term, times the vectors in `zmm30` and `zmm31`.
macro_rules! row {
    ($kind:tt $place:literal 0) => { row!($kind $place "{first}" "24" "0" "1") };
    ($kind:tt $place:literal 1) => { row!($kind $place "{first} + {step}" "25" "2" "3") };
    ($kind:tt $place:literal 2) => { row!($kind $place "{first} + 2 * {step}" "26" "4" "5") };
    ($kind:tt $place:literal 3) => { row!($kind $place "{second}" "27" "6" "7") };
    ($kind:tt $place:literal 4) => { row!($kind $place "{second} + {step}" "28" "8" "9") };
    ($kind:tt $place:literal 5) => { row!($kind $place "{second} + 2 * {step}" "29" "10" "11") };
    ($kind:tt $place:literal 6) => { row!($kind $place "{third}" "24" "12" "13") };
    ($kind:tt $place:literal 7) => { row!($kind $place "{third} + {step}" "25" "14" "15") };
    ($kind:tt $place:literal 8) => { row!($kind $place "{third} + 2 * {step}" "26" "16" "17") };
    ($kind:tt $place:literal 9) => { row!($kind $place "{fourth}" "27" "18" "19") };
    ($kind:tt $place:literal 10) => { row!($kind $place "{fourth} + {step}" "28" "20" "21") };
    ($kind:tt $place:literal 11) => { row!($kind $place "{fourth} + 2 * {step}" "29" "22" "23") };
    ([$letter:literal $size:literal $bytes:literal] $place:literal $at:literal $term:literal $low:literal $high:literal) => {
        concat!(
            "vbroadcasts", $letter, " zmm", $term, ", ", $size, " ptr [", $at, " + ", $bytes, " * ", $place, "]\n",
            "vfmadd231p", $letter, " zmm", $low, ", zmm", $term, ", zmm30\n",
            "vfmadd231p", $letter, " zmm", $high, ", zmm", $term, ", zmm31\n",
        )
    };
}

/// The products of all rows at one place, and what is fetched there.
macro_rules! place {
    ($kind:tt $place:literal $b:literal $next:literal $($row:tt)*) => {
        concat!(
            "vmovups zmm30, zmmword ptr [", $b, "]\n",
            "vmovups zmm31, zmmword ptr [", $b, " + 64]\n",
            "prefetcht0 byte ptr [", $next, "]\n",
            $(row!($kind $place $row)),*
        )
    };
}

macro_rules! walk_rows {
    ($kind:tt $bytes:literal, $sums:ident, $walk:ident: $($row:tt)*) => {{
        let [first, second, third, fourth] = from_fn(|i| $walk.a.wrapping_offset((i * NEAR) as isize * $walk.a_row));
        // SAFETY: it reads as the caller allows, writes no memory, and names all registers that it changes.
        unsafe {
            std::arch::asm!(
                "2:",
                place!($kind 0 "{b}" "{next}" $($row)*),
                place!($kind 1 "{b} + {b_step}" "{next} + {next_step}" $($row)*),
                place!($kind 2 "{b} + 2 * {b_step}" "{next} + 2 * {next_step}" $($row)*),
                place!($kind 3 "{b} + {three_b_steps}" "{next} + {three_next_steps}" $($row)*),
                concat!("add {first}, 4 * ", $bytes),
                concat!("add {second}, 4 * ", $bytes),
                concat!("add {third}, 4 * ", $bytes),
                concat!("add {fourth}, 4 * ", $bytes),
                "lea {b}, [{b} + 4 * {b_step}]",
                "lea {next}, [{next} + 4 * {next_step}]",
                "dec {count}",
                "jnz 2b",
                first = inout(reg) first => _,
                second = inout(reg) second => _,
                third = inout(reg) third => _,
                fourth = inout(reg) fourth => _,
                step = in(reg) $walk.a_row * $bytes,
                b = inout(reg) $walk.b => _,
                b_step = in(reg) $walk.b_step * $bytes,
                three_b_steps = in(reg) 3 * $walk.b_step * $bytes,
                next = inout(reg) $walk.next => _,
                next_step = in(reg) $walk.next_step * $bytes,
                three_next_steps = in(reg) 3 * $walk.next_step * $bytes,
                count = inout(reg) $walk.count => _,
                inout("zmm0") $sums[0], inout("zmm1") $sums[1], inout("zmm2") $sums[2], inout("zmm3") $sums[3],
                inout("zmm4") $sums[4], inout("zmm5") $sums[5], inout("zmm6") $sums[6], inout("zmm7") $sums[7],
                inout("zmm8") $sums[8], inout("zmm9") $sums[9], inout("zmm10") $sums[10], inout("zmm11") $sums[11],
                inout("zmm12") $sums[12], inout("zmm13") $sums[13], inout("zmm14") $sums[14], inout("zmm15") $sums[15],
                inout("zmm16") $sums[16], inout("zmm17") $sums[17], inout("zmm18") $sums[18], inout("zmm19") $sums[19],
                inout("zmm20") $sums[20], inout("zmm21") $sums[21], inout("zmm22") $sums[22], inout("zmm23") $sums[23],
                out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
                out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
                options(readonly, nostack),
            );
        }
    }};
}

macro_rules! tall {
    ($name:ident: $t:ty, $vector:ty, $letter:literal $size:literal $bytes:literal) => {
        /// Adds the products of the [`TALL`] numbers of rows to their sums, two vectors for each row.
        ///
        /// # Safety
        /// The machine has AVX-512, the count is not 0, and all that is walked through can be read.
        #[inline]
        #[target_feature(enable = "avx512f")]
        #[allow(unsafe_code)]
        pub(super) unsafe fn $name<const ROWS: usize>(sums: &mut [$vector; SUMS], walk: Walk<$t>) {
            match ROWS {
                7 => walk_rows!([$letter $size $bytes] $bytes, sums, walk: 0 1 2 3 4 5 6),
                8 => walk_rows!([$letter $size $bytes] $bytes, sums, walk: 0 1 2 3 4 5 6 7),
                9 => walk_rows!([$letter $size $bytes] $bytes, sums, walk: 0 1 2 3 4 5 6 7 8),
                10 => walk_rows!([$letter $size $bytes] $bytes, sums, walk: 0 1 2 3 4 5 6 7 8 9),
                11 => walk_rows!([$letter $size $bytes] $bytes, sums, walk: 0 1 2 3 4 5 6 7 8 9 10),
                _ => walk_rows!([$letter $size $bytes] $bytes, sums, walk: 0 1 2 3 4 5 6 7 8 9 10 11),
            }
        }
    };
}
tall!(f32_tall: f32, __m512, "s" "dword" 4);
tall!(f64_tall: f64, __m512d, "d" "qword" 8);

/// What tiles of other instruction sets have in place of these.
///
/// # Safety
/// It is not called.
#[allow(unsafe_code)]
pub(super) unsafe fn not_tall<const ROWS: usize>(_: &mut [impl Copy; SUMS], _: Walk<impl Copy>) {
    unreachable!("tall tiles are AVX-512's")
}
