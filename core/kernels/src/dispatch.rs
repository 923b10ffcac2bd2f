//! One body, compiled for every instruction set.

/// Elements that are taken at a time: what one instruction of the widest set does, or two of f64.
pub(crate) const LANES: usize = 16;

/// A function that runs `$body::<.., FUSED>` as it was compiled for the chosen instruction set.
///
/// The body must be `#[inline(always)]`, and so must all that it calls and that should become vectors.
macro_rules! by_instruction_set {
    ($(#[$doc:meta])* $visible:vis fn $name:ident($($arg:ident: $t:ty),*) $(-> $result:ty)? = $body:ident::<$($of:ty),*>) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        $visible fn $name($($arg: $t),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::instruction_set::{InstructionSet, instruction_set};

                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
                fn avx512($($arg: $t),*) $(-> $result)? {
                    $body::<$($of,)* true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $t),*) $(-> $result)? {
                    $body::<$($of,)* true>($($arg),*)
                }
                match instruction_set() {
                    // SAFETY: a set is chosen only where it is.
                    InstructionSet::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    InstructionSet::Avx2 => return unsafe { avx2($($arg),*) },
                    InstructionSet::Portable => {}
                }
            }
            $body::<$($of,)* false>($($arg),*)
        }
    };
}

/// Runs `$body` with `$n` elements of `$x` at a time and the place for as many results in `$out`; the last ones as if
/// more `$fill` followed them.
///
/// A macro, because what a closure does need not be compiled for the instruction set of the function it is in.
macro_rules! blocks {
    ($n:expr, $fill:expr, $x:expr => $out:expr, |$block:ident, $result:ident| $body:expr) => {{
        let (blocks, rest) = $x.as_chunks::<{ $n }>();
        let (results, rest_of_results) = $out.as_chunks_mut::<{ $n }>();
        for ($result, $block) in results.iter_mut().zip(blocks) {
            $body;
        }
        if !rest.is_empty() {
            let mut filled = [$fill; $n];
            filled[..rest.len()].copy_from_slice(rest);
            let mut result = [$fill; $n];
            {
                let ($block, $result) = (&filled, &mut result);
                $body;
            }
            rest_of_results.copy_from_slice(&result[..rest.len()]);
        }
    }};
}

pub(crate) use {blocks, by_instruction_set};
