//! What plans keep from one run to the next. A plan that lacks something takes it from one that the same thread has run: those
//! that are called one after the other, as for a last batch that is shorter, need together what the largest of them needs, and
//! those of different threads do not take from each other what they will need again.

use super::{Memory, Workspace};
use crate::op::Scratch;
use crate::tensor::Plain;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

thread_local! {
    static HERE: u8 = const { 0 };
}

/// A number that no other thread has.
fn this_thread() -> usize {
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// The bytes from which on something is looked for elsewhere.
const LEAST: usize = 64 << 10;

/// Those of all plans there are.
static ALL: Mutex<Vec<Weak<Idle>>> = Mutex::new(Vec::new());

/// The workspaces of a plan that no run has: as many as there were runs at once.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Workspace>>);

impl Idle {
    pub fn new() -> Arc<Idle> {
        let idle = Arc::<Idle>::default();
        let mut all = lock(&ALL);
        if all.len() == all.capacity() {
            all.retain(|other| other.strong_count() > 0);
        }
        all.push(Arc::downgrade(&idle));
        idle
    }

    pub fn take(&self) -> Workspace {
        lock(&self.0).pop().unwrap_or_default()
    }

    pub fn give(&self, mut workspace: Workspace) {
        workspace.thread = this_thread();
        lock(&self.0).push(workspace);
    }
}

/// A buffer of so many bytes, or if there is none of less than twice as many, that this thread used last.
pub(super) fn buffer(bytes: usize) -> Option<Plain> {
    let within = |most: usize| {
        find(bytes, |workspace| {
            workspace.memory.iter_mut().find_map(|memory| match memory {
                Memory::Plain(plain) if (bytes..=most).contains(&plain.bytes().len()) => {
                    match std::mem::replace(memory, Memory::Away) {
                        Memory::Plain(plain) => Some(plain),
                        _ => None,
                    }
                }
                _ => None,
            })
        })
    };
    within(bytes).or_else(|| within(bytes.saturating_mul(2)))
}

/// Scratch with room for so many bytes that this thread used last.
pub(super) fn scratch(bytes: usize) -> Option<Scratch> {
    find(bytes, |workspace| (workspace.scratch.len() >= bytes).then(|| std::mem::take(&mut workspace.scratch)))
}

/// The first thing that `of` finds in a workspace, if it is worth looking for.
fn find<R>(bytes: usize, of: impl Fn(&mut Workspace) -> Option<R>) -> Option<R> {
    if bytes < LEAST {
        return None;
    }
    let (all, thread) = (lock(&ALL), this_thread());
    all.iter().filter_map(Weak::upgrade).find_map(|idle| {
        let mut idle = match idle.0.try_lock() {
            Ok(idle) => idle,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        idle.iter_mut().filter(|workspace| workspace.thread == thread).find_map(&of)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
