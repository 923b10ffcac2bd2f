//! Which instructions the kernels use: found out once, when the first of them runs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};

/// The sets of instructions that kernels are written for.
///
/// `Avx512` and `Avx2` give the same bits. `Portable`, plain Rust in fixed lanes, rounds products before they are added
/// up, where the others do not: its results are a tier of their own, and the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, BW, DQ and VL, with all of `Avx2`.
    Avx512,
    /// AVX2 with fused multiply-add and conversions of f16.
    Avx2,
    /// What every machine has.
    Portable,
}

impl InstructionSet {
    /// All of them, the best first.
    #[doc(hidden)]
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has it.
    pub fn is_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = || {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            };
            let avx512 = || {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            };
            match self {
                Self::Avx512 => avx2() && avx512(),
                Self::Avx2 => avx2(),
                Self::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }
}

thread_local! {
    static CHOSEN: Cell<Option<InstructionSet>> = const { Cell::new(None) };
}

/// The best set of this machine, or one that the environment asks for by `MODULOR_INSTRUCTION_SET`: `avx512`, `avx2` or
/// `portable`. One that is not here, or that is none of these, is not listened to. It is asked once, by the first kernel.
///
/// A kernel asks on the thread that calls it, and tells the threads that help.
pub fn instruction_set() -> InstructionSet {
    /// The place of the best set in `InstructionSet::ALL`, from 1; 0 before anybody asked.
    static BEST: AtomicU8 = AtomicU8::new(0);
    if let Some(set) = CHOSEN.get() {
        return set;
    }
    match BEST.load(Ordering::Relaxed) {
        1 => InstructionSet::Avx512,
        2 => InstructionSet::Avx2,
        3 => InstructionSet::Portable,
        _ => {
            let wanted = std::env::var("MODULOR_INSTRUCTION_SET").ok();
            let here = || InstructionSet::ALL.into_iter().filter(|set| set.is_here());
            let asked_for = here().find(|set| wanted.as_deref() == Some(set.name()));
            let best = asked_for.or_else(|| here().next()).unwrap_or(InstructionSet::Portable);
            BEST.store(best as u8 + 1, Ordering::Relaxed);
            best
        }
    }
}

/// Runs `f` with another choice for the kernels that this thread calls, so that tests can compare them on one machine.
///
/// # Panics
/// When this machine does not have `set`.
#[doc(hidden)]
pub fn with_instruction_set<R>(set: InstructionSet, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<InstructionSet>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CHOSEN.set(self.0);
        }
    }
    assert!(set.is_here(), "this machine does not have {set:?}");
    let _restore = Restore(CHOSEN.replace(Some(set)));
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_what_is_here() {
        let named = |name: String| InstructionSet::ALL.into_iter().find(|set| set.name() == name);
        match std::env::var("MODULOR_INSTRUCTION_SET").ok().and_then(named).filter(|set| set.is_here()) {
            Some(set) => assert_eq!(instruction_set(), set),
            None => assert_eq!(Some(instruction_set()), InstructionSet::ALL.into_iter().find(|set| set.is_here())),
        }
    }

    #[test]
    fn a_choice_lasts_as_long_as_its_closure_and_holds_on_its_thread_alone() {
        let best = instruction_set();
        assert!(best.is_here());
        let inside = std::panic::catch_unwind(|| {
            with_instruction_set(InstructionSet::Portable, || {
                assert_eq!(instruction_set(), InstructionSet::Portable);
                let elsewhere = std::thread::spawn(instruction_set).join().expect("it does not panic");
                assert_eq!(elsewhere, best);
                with_instruction_set(best, || assert_eq!(instruction_set(), best));
                assert_eq!(instruction_set(), InstructionSet::Portable);
                panic!("on the way out");
            })
        });
        assert!(inside.is_err());
        assert_eq!(instruction_set(), best);
    }
}
