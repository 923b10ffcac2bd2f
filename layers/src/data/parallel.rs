//! Elements that other threads read and compute, in their order.

use super::node::Items;
use modulor::op::scope::{Scopes, without_tapes};
use modulor::{Error, Result};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What `f` makes of each item and its number, in order, computed by so many threads that are at most `ahead` items ahead.
///
/// A panic is an error in the place of its element. The threads end with the items, or when the iterator is dropped, which
/// waits for them.
pub(super) fn in_order<T: Send + 'static, U: Send + 'static>(
    items: Items<T>,
    f: impl Fn(T, u64) -> Result<U> + Send + Sync + 'static,
    threads: usize,
    ahead: u64,
) -> InOrder<U> {
    let source = Arc::new(Mutex::new(Source { items: Some(items), next: 0 }));
    let desk = Arc::new(Desk::default());
    let f = Arc::new(f);
    let scopes = without_tapes(Scopes::current);
    let mut workers = Vec::new();
    for _ in 0..threads {
        let (source, desk_there, f, scopes) = (source.clone(), desk.clone(), f.clone(), scopes.clone());
        let work = move || scopes.enter(|| while serve(&source, &desk_there, &*f, ahead) {});
        match thread::Builder::new().name("modulor-data".to_owned()).spawn(work) {
            Ok(worker) => workers.push(worker),
            // Fewer threads give the same elements; none gives none.
            Err(_) if !workers.is_empty() => break,
            Err(error) => {
                let error = Error::resource_exhausted(format!("no thread could be started to read ahead: {error}"));
                let mut state = desk.lock();
                state.done.insert(0, Err(error));
                state.end = Some(1);
            }
        }
    }
    InOrder { desk, workers }
}

/// What the threads take from, one at a time.
struct Source<T> {
    items: Option<Items<T>>,
    /// The number of the item to come.
    next: u64,
}

/// Where they leave what they made.
struct Desk<U> {
    state: Mutex<State<U>>,
    /// Something was left, or nothing more will be.
    left: Condvar,
    /// Something was taken away, or nobody wants more.
    taken: Condvar,
}

struct State<U> {
    done: BTreeMap<u64, Result<U>>,
    /// The number of the result to be given next.
    next: u64,
    /// How many results there will be, once that is known.
    end: Option<u64>,
    unwanted: bool,
}

impl<U> Default for Desk<U> {
    fn default() -> Self {
        let state = State { done: BTreeMap::new(), next: 0, end: None, unwanted: false };
        Desk { state: Mutex::new(state), left: Condvar::new(), taken: Condvar::new() }
    }
}

impl<U> Desk<U> {
    fn lock(&self) -> MutexGuard<'_, State<U>> {
        locked(&self.state)
    }

    /// Waits until there is room for result `at`; whether anybody wants it.
    fn has_room(&self, at: u64, ahead: u64) -> bool {
        let full = |state: &mut State<U>| !state.unwanted && at.saturating_sub(state.next) >= ahead;
        !self.taken.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner).unwanted
    }

    fn leave(&self, at: u64, result: Result<U>) {
        self.lock().done.insert(at, result);
        self.left.notify_all();
    }

    fn end(&self, count: u64) {
        self.lock().end = Some(count);
        self.left.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one item and leaves what `f` makes of it; false where there is none, or nobody wants it.
fn serve<T, U>(
    source: &Mutex<Source<T>>,
    desk: &Desk<U>,
    f: &(impl Fn(T, u64) -> Result<U> + ?Sized),
    ahead: u64,
) -> bool {
    let mut source = locked(source);
    let at = source.next;
    if !desk.has_room(at, ahead) {
        source.items = None;
        return false;
    }
    let Some(items) = &mut source.items else { return false };
    match caught(THREAD, || items.next().transpose()) {
        Ok(Some(item)) => {
            source.next += 1;
            drop(source);
            desk.leave(at, caught(THREAD, || f(item, at)));
            return true;
        }
        Ok(None) => desk.end(at),
        Err(error) => {
            desk.leave(at, Err(error));
            desk.end(at + 1);
        }
    }
    source.items = None;
    false
}

const THREAD: &str = "a thread that reads data";

/// What `f` returns, or a panic as an error, of what is named.
pub(crate) fn caught<R>(what: &str, f: impl FnOnce() -> Result<R>) -> Result<R> {
    let said = |panic: Box<dyn Any + Send>| {
        let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
        words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
    };
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|panic| Err(Error::internal(format!("{what} panicked: {}", said(panic)))))
}

/// The results in order.
pub(super) struct InOrder<U> {
    desk: Arc<Desk<U>>,
    workers: Vec<JoinHandle<()>>,
}

impl<U> Iterator for InOrder<U> {
    type Item = Result<U>;

    fn next(&mut self) -> Option<Result<U>> {
        let waits = |state: &mut State<U>| !state.done.contains_key(&state.next) && state.end != Some(state.next);
        let mut state = self.desk.left.wait_while(self.desk.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let next = state.next;
        let result = state.done.remove(&next)?;
        state.next += 1;
        self.desk.taken.notify_all();
        Some(result)
    }
}

impl<U> Drop for InOrder<U> {
    fn drop(&mut self) {
        self.desk.lock().unwanted = true;
        self.desk.taken.notify_all();
        for worker in self.workers.drain(..) {
            // Its panics were caught, and are results.
            let _ = worker.join();
        }
    }
}
