//! The threads that help kernels: a region is a number of chunks, each run once by whoever claims it.
//!
//! The caller claims chunks like everybody else, so that it finishes alone where nobody comes, and waits for those alone
//! that another thread has begun. Helpers spin for a short while after the last chunk of a region and then sleep. Any number of
//! threads may have regions at the same time, and a chunk may have regions of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};

/// The most threads that work on a region.
const MAX_THREADS: usize = 64;
/// Regions that have helpers at a time; the callers of more do their work alone.
const SLOTS: usize = 16;
/// How often a helper looks for the next region before it sleeps: some 50 µs.
const SPINS: usize = 4000;
/// How often it looks on while a caller is still at the last chunks of a region, some millisecond where nobody else wants the
/// core: the next region often follows, and a helper that is awake is there at once. It lets others run each time, as the caller
/// itself may be waiting for this core.
const LONGER: usize = 3000;
/// How often a caller looks for the end of the last chunks before it lets others run.
const WAITS: usize = 1000;
/// Bits of a claim that count chunks from one end.
const CHUNK_BITS: u32 = 16;
/// The most chunks of a region; more are run several at a time.
const MOST: usize = (1 << CHUNK_BITS) - 1;

/// The memory that each helper lends to the chunks it runs, in bytes.
pub(crate) const ROOM: usize = 7 << 18;

/// What is done to each chunk, with memory of the helper that runs it, or none on the caller's thread.
pub type Body<'a> = dyn Fn(usize, &mut [u8]) + Sync + 'a;

/// What a caller offers, on its stack.
struct Region<'a> {
    body: &'a Body<'a>,
    /// The chunks in all, and how many are claimed at a time.
    chunks: usize,
    step: usize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Region<'_> {
    fn run(&self, claim: usize, room: &mut [u8]) {
        for chunk in claim * self.step..self.chunks.min((claim + 1) * self.step) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.body)(chunk, room))) {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
        }
    }

    /// Passes the first panic on.
    fn end(self) {
        if let Some(panic) = self.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }
}

/// Where helpers find a region.
#[repr(align(128))]
struct Slot {
    /// Whether a caller has it.
    taken: AtomicBool,
    /// The number of the region in this slot, and the first of its chunks that nobody has claimed and the end of those.
    claims: AtomicU64,
    region: AtomicPtr<Region<'static>>,
    /// The chunks that helpers have finished.
    finished: AtomicUsize,
}

impl Slot {
    /// A chunk that nobody has, and the region it belongs to. Callers begin with the first and helpers with the last, so
    /// that kernels that are run again find their data in the caches of the same cores.
    fn claim(&self, first: bool) -> Option<(usize, *const Region<'static>)> {
        let mut claims = self.claims.load(Ordering::Acquire);
        loop {
            let (start, end) = ((claims >> CHUNK_BITS) as usize & MOST, claims as usize & MOST);
            if start == end {
                return None;
            }
            let region = self.region.load(Ordering::Relaxed);
            let (chunk, next) = if first { (start, claims + (1 << CHUNK_BITS)) } else { (end - 1, claims - 1) };
            match self.claims.compare_exchange_weak(claims, next, Ordering::AcqRel, Ordering::Acquire) {
                // The region had not ended, so what was read belongs to it.
                Ok(_) => return Some((chunk, region)),
                Err(now) => claims = now,
            }
        }
    }

    /// Runs all chunks that nobody has, as a helper; whether there was one.
    fn help(&self, room: &mut [u8]) -> bool {
        let mut helped = false;
        while let Some((chunk, region)) = self.claim(false) {
            // SAFETY: the caller keeps the region until each claimed chunk is counted as finished, and this one is not.
            #[allow(unsafe_code)]
            unsafe { &*region }.run(chunk, room);
            self.finished.fetch_add(1, Ordering::Release);
            helped = true;
        }
        helped
    }
}

/// A helper, which begins when it is first wanted and stays.
struct Helper {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

static SLOT: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        claims: AtomicU64::new(0),
        region: AtomicPtr::new(null_mut()),
        finished: AtomicUsize::new(0),
    }
}; SLOTS];
static HELPER: [Helper; MAX_THREADS - 1] =
    [const { Helper { asleep: AtomicBool::new(false), thread: OnceLock::new() } }; MAX_THREADS - 1];
/// How many helpers have begun, and whether no more can.
static HELPERS: Mutex<(usize, bool)> = Mutex::new((0, false));
/// The helpers that were asked to begin: nobody need take the lock for these.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// Raised with each region, and a hint: its last places are those of the slot.
static NEWS: AtomicU64 = AtomicU64::new(0);
/// What [`set_num_threads`] said; 0 for as many as the machine has.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The threads that this process may use at a time.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// How many threads work on a kernel that is worth it, the caller's included.
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => cores().min(MAX_THREADS),
        threads => threads,
    }
}

/// Sets how many threads work on a kernel, the caller's included: 1 for no help, 0 for as many as the machine has, which
/// is so from the start; at most 64.
///
/// It holds for the whole process, from the next kernel on. No result depends on it, not in one bit.
pub fn set_num_threads(threads: usize) {
    THREADS.store(threads.min(MAX_THREADS), Ordering::Relaxed);
}

/// Whether a helper is awake, as one is for a while after its last chunk: it comes in a tenth of the time that it takes to wake it.
pub(crate) fn is_awake() -> bool {
    let begun = ASKED.load(Ordering::Relaxed).min(num_threads() - 1);
    HELPER[..begun].iter().any(|helper| !helper.asleep.load(Ordering::Relaxed))
}

/// Sees to it that so many helpers have begun, as far as the system allows.
fn begin(wanted: usize) {
    if ASKED.load(Ordering::Acquire) >= wanted {
        return;
    }
    let mut helpers = HELPERS.lock().unwrap_or_else(PoisonError::into_inner);
    while helpers.0 < wanted && !helpers.1 {
        let id = helpers.0;
        let mut room = Vec::new();
        let begun = room.try_reserve_exact(ROOM).is_ok()
            && thread::Builder::new().name(format!("modulor-{id}")).spawn(move || work(id, room)).is_ok();
        if begun {
            helpers.0 += 1;
        } else {
            helpers.1 = true;
        }
    }
    ASKED.fetch_max(wanted, Ordering::Release);
}

/// The life of a helper.
fn work(id: usize, mut room: Vec<u8>) {
    let own = &HELPER[id];
    own.thread.get_or_init(thread::current);
    room.resize(ROOM, 0);
    loop {
        let news = NEWS.load(Ordering::SeqCst);
        if id + 1 < num_threads() {
            let hinted = news as usize % SLOTS;
            while SLOT[hinted].help(&mut room) || SLOT.iter().any(|slot| slot.help(&mut room)) {}
        }
        // More threads than cores only take time from each other by spinning.
        let (mut spins, mut longer) =
            if id + 1 < num_threads() && num_threads() <= cores() { (SPINS, LONGER) } else { (0, 0) };
        let mut watched = false;
        while NEWS.load(Ordering::SeqCst) == news {
            if spins > 0 {
                spins -= 1;
                std::hint::spin_loop();
                continue;
            }
            if longer > 0 && SLOT.iter().any(|slot| slot.taken.load(Ordering::Relaxed)) {
                (longer, watched) = (longer - 1, true);
                thread::yield_now();
                continue;
            }
            if watched {
                (spins, watched) = (SPINS, false);
                continue;
            }
            own.asleep.store(true, Ordering::SeqCst);
            // A caller raises the news first and looks who is asleep then: one of the two sees the other.
            if NEWS.load(Ordering::SeqCst) == news {
                thread::park();
            }
            own.asleep.store(false, Ordering::SeqCst);
        }
    }
}

/// Runs `body` once for each chunk from 0 on, on this thread and on helpers that are free.
///
/// Returns when all are done. Allocates nothing, but for the threads when they begin.
///
/// # Panics
/// When a chunk did, with its payload; the others have run all the same.
pub fn run(chunks: usize, body: &Body) {
    let threads = if chunks > 1 { num_threads().min(chunks) } else { 1 };
    let free = |slot: &&Slot| !slot.taken.load(Ordering::Relaxed) && !slot.taken.swap(true, Ordering::Acquire);
    let slot = if threads > 1 { SLOT.iter().enumerate().find(|(_, slot)| free(slot)) } else { None };
    let step = chunks.div_ceil(MOST).max(1);
    let claims = chunks.div_ceil(step);
    let region = Region { body, chunks, step, panic: Mutex::new(None) };
    let Some((place, slot)) = slot else {
        (0..claims).for_each(|claim| region.run(claim, &mut []));
        return region.end();
    };
    begin(threads - 1);
    slot.finished.store(0, Ordering::Relaxed);
    slot.region.store((&raw const region).cast_mut().cast(), Ordering::Relaxed);
    let number = (slot.claims.load(Ordering::Relaxed) >> (2 * CHUNK_BITS)).wrapping_add(1);
    slot.claims.store(number << (2 * CHUNK_BITS) | claims as u64, Ordering::Release);
    let mut news = NEWS.load(Ordering::Relaxed);
    while let Err(now) = NEWS.compare_exchange_weak(
        news,
        (news / SLOTS as u64 + 1).wrapping_mul(SLOTS as u64) + place as u64,
        Ordering::SeqCst,
        Ordering::Relaxed,
    ) {
        news = now;
    }
    for helper in &HELPER[..threads - 1] {
        if helper.asleep.load(Ordering::SeqCst)
            && helper.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = helper.thread.get()
        {
            thread.unpark();
        }
    }
    let mut own = 0;
    while let Some((chunk, _)) = slot.claim(true) {
        region.run(chunk, &mut []);
        own += 1;
    }
    let mut waits = 0;
    while slot.finished.load(Ordering::Acquire) != claims - own {
        if waits < WAITS {
            waits += 1;
            std::hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
    slot.taken.store(false, Ordering::Release);
    region.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// Runs a region of `chunks` chunks and checks that each chunk ran once.
    fn check(chunks: usize, body: impl Fn(usize) + Sync) {
        let ran: Vec<AtomicU32> = (0..chunks).map(|_| AtomicU32::new(0)).collect();
        run(chunks, &|chunk, _| {
            body(chunk);
            ran[chunk].fetch_add(1, Ordering::Relaxed);
        });
        assert!(ran.iter().all(|ran| ran.load(Ordering::Relaxed) == 1), "each chunk runs once");
    }

    #[test]
    fn many_callers_nest_and_panic_and_lose_nothing() {
        let before = THREADS.load(Ordering::Relaxed);
        for threads in [1, 2, 5] {
            set_num_threads(threads);
            thread::scope(|scope| {
                for caller in 0..64_usize {
                    scope.spawn(move || {
                        for round in 0..50 {
                            match (caller + round) % 4 {
                                0 => check(round % 7, |_| ()),
                                1 => check(5, |_| check(4, |_| check(2, |_| ()))),
                                2 => {
                                    let done = AtomicUsize::new(0);
                                    let all = || {
                                        run(6, &|chunk, _| {
                                            done.fetch_add(1, Ordering::Relaxed);
                                            assert!(chunk % 3 != 1, "chunk {chunk}");
                                        });
                                    };
                                    let panic = catch_unwind(AssertUnwindSafe(all)).expect_err("two chunks panicked");
                                    let words = panic.downcast_ref::<String>().expect("a formatted panic");
                                    assert!(words == "chunk 1" || words == "chunk 4", "{words}");
                                    assert!(done.load(Ordering::Relaxed) == 6);
                                }
                                _ => check(100, |chunk| {
                                    std::hint::black_box(chunk);
                                }),
                            }
                        }
                    });
                }
            });
        }
        set_num_threads(before);
    }

    #[test]
    fn a_caller_finishes_alone_while_helpers_are_busy() {
        let before = THREADS.load(Ordering::Relaxed);
        set_num_threads(2);
        let (begun, free) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                run(2, &|_, _| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    while !free.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                });
            });
            // Where other tests keep the helper busy, one of the two is still to be begun.
            while begun.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            for _ in 0..100 {
                check(10, |_| ());
            }
            free.store(true, Ordering::SeqCst);
        });
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        set_num_threads(before);
    }

    #[test]
    fn a_region_may_have_more_chunks_than_claims() {
        for chunks in [MOST - 1, MOST, MOST + 1, 3 * MOST] {
            check(chunks, |_| ());
        }
    }

    #[test]
    fn helpers_lend_their_room_and_callers_have_none() {
        let caller = thread::current().id();
        run(64, &|_, room| assert_eq!(room.len(), if thread::current().id() == caller { 0 } else { ROOM }));
    }
}
