//! A file system in memory that fails when it is told to, and a model of what real ones lose.
//!
//! What it is made of: files, which are bytes, and directories, which map names to files and directories. A name and what
//! it names are two things, as in POSIX: a rename moves a name, a file lives as long as a name or an open handle leads to
//! it, and the root is always there. There are no symbolic links, permissions, or files that are not regular.
//!
//! What is durable:
//! - A file has the bytes of its last successful `sync` (or `link`), and the writes after it. After a *power cut* each
//!   sector ([`SECTOR`] bytes) that these writes touch holds, independently of the others, either what it held at the
//!   last sync (zeros beyond the end of then) or what was written; and the file ends anywhere between the two ends.
//! - A directory has the names of its last successful `sync_dir`, and the changes after it: a creation, a removal, a
//!   link, and a rename, which is two changes, of the old name and of the new one. After a power cut each name,
//!   independently of all others, has any of the states it went through since. So a renamed file may come back under both
//!   names or under none; but a name that was replaced is never without a file. Syncing a file makes none of its names
//!   durable. This is more than any journaling file system loses.
//! - A sync that fails loses: what was written up to it will never be made durable by a later sync, as on Linux.
//!
//! What a *kill* leaves is exactly the state before the call at which it came, and half of the bytes if that is a write.
//! A full disk refuses what needs space (`create`, `write`, `sync`, `link`, `create_dir`, and a rename), a broken one
//! everything. The first write that fails
//! has written half of its bytes.

use modulor::Error;
use modulor::prelude::*;
use modulor::vfs::{Lock, NewFile, OpenFile, Vfs};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What a disk writes in one piece; small, so that small files have many.
pub const SECTOR: usize = 64;

/// What is to go wrong, at the n-th mutating call, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends: neither this call nor any later one does anything.
    Kill,
    /// The disk is full.
    Full {
        /// And stays so.
        forever: bool,
    },
    /// The device answers with an error.
    Broken {
        /// And goes on to.
        forever: bool,
    },
}

/// The file system; a clone is a handle to the same one.
#[derive(Clone, Debug, Default)]
pub struct FaultVfs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    unlocked: Condvar,
}

#[derive(Clone, Debug)]
struct State {
    nodes: Vec<Node>,
    calls: Vec<String>,
    fault: Option<(usize, Fault)>,
    /// The directories whose lock is held.
    locked: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Node {
    File(Bytes),
    Dir(Names),
}

#[derive(Clone, Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// The ranges written since the last sync.
    unsynced: Vec<(usize, usize)>,
    /// Whether a sync failed.
    lost: bool,
}

#[derive(Clone, Debug, Default)]
struct Names {
    now: BTreeMap<OsString, usize>,
    durable: BTreeMap<OsString, usize>,
    /// The states each name went through since the last sync, in order.
    unsynced: BTreeMap<OsString, Vec<Option<usize>>>,
}

impl Names {
    fn set(&mut self, name: OsString, node: Option<usize>) {
        match node {
            Some(node) => self.now.insert(name.clone(), node),
            None => self.now.remove(&name),
        };
        self.unsynced.entry(name).or_default().push(node);
    }
}

impl Default for State {
    fn default() -> State {
        State { nodes: vec![Node::Dir(Names::default())], calls: Vec::new(), fault: None, locked: BTreeSet::new() }
    }
}

/// Numbers that look random and are the same for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

impl FaultVfs {
    /// A handle as the library takes it.
    pub fn shared(&self) -> Arc<dyn Vfs> {
        Arc::new(self.clone())
    }

    /// Starts counting calls anew, and lets call `n` and what follows go wrong.
    pub fn arm(&self, fault: Option<(usize, Fault)>) {
        let mut state = self.state();
        state.calls.clear();
        state.fault = fault;
    }

    /// The mutating calls since [`arm`](FaultVfs::arm), also those that failed, as `rename /a to /b`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// What the next process finds: the same files, no locks, and nothing that goes wrong.
    pub fn restarted(&self) -> FaultVfs {
        let state = State { calls: Vec::new(), fault: None, locked: BTreeSet::new(), ..self.state().clone() };
        FaultVfs(Arc::new(Shared { state: Mutex::new(state), ..Shared::default() }))
    }

    /// One of the disks that a power cut at this moment may leave: `seed` says which.
    pub fn power_cut(&self, seed: u64) -> FaultVfs {
        let after = self.restarted();
        let mut random = Random(seed);
        // Some cuts lose nearly all, some nearly nothing.
        let losses = 1 + random.below(7);
        let mut keeps = |random: &mut Random| random.below(8) >= losses;
        for node in &mut after.state().nodes {
            match node {
                Node::File(bytes) => {
                    bytes.now = survivors(bytes, &mut random, &mut keeps);
                    *bytes =
                        Bytes { durable: bytes.now.clone(), now: std::mem::take(&mut bytes.now), ..Bytes::default() };
                }
                Node::Dir(names) => {
                    let mut kept = names.durable.clone();
                    for (name, states) in &names.unsynced {
                        let state = match keeps(&mut random) {
                            true => states.last(),
                            false => random.below(states.len() + 1).checked_sub(1).and_then(|at| states.get(at)),
                        };
                        match state {
                            Some(Some(node)) => kept.insert(name.clone(), *node),
                            Some(None) => kept.remove(name),
                            None => None,
                        };
                    }
                    *names = Names { now: kept.clone(), durable: kept, unsynced: BTreeMap::new() };
                }
            }
        }
        after
    }

    /// All bytes of a file.
    pub fn bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        match state.find(path.as_ref()).map(|node| &state.nodes[node]) {
            Some(Node::File(bytes)) => Some(bytes.now.clone()),
            _ => None,
        }
    }

    /// Puts a durable file there, in place of what there is.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let node = state.nodes.len();
        state.nodes.push(Node::File(Bytes { now: bytes.to_vec(), durable: bytes.to_vec(), ..Bytes::default() }));
        let (names, name) = state.names(path.as_ref()).expect("the directory is there");
        names.now.insert(name.clone(), node);
        names.durable.insert(name, node);
    }

    /// The paths of all files and directories.
    pub fn tree(&self) -> Vec<PathBuf> {
        fn walk(state: &State, node: usize, path: &Path, out: &mut Vec<PathBuf>) {
            if let Node::Dir(names) = &state.nodes[node] {
                for (name, &node) in &names.now {
                    out.push(path.join(name));
                    walk(state, node, &path.join(name), out);
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.state(), 0, Path::new("/"), &mut out);
        out
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no test panics inside")
    }

    /// Notes a mutating call, and says how it fails if it does.
    fn call(state: &mut State, what: String, needs_space: bool) -> Result<()> {
        let at = state.calls.len();
        state.calls.push(what.clone());
        let Some((n, fault)) = state.fault else { return Ok(()) };
        let due = |forever: bool| at == n || (forever && at > n);
        match fault {
            Fault::Kill if due(true) => Err(Error::internal(format!("cannot {what}: killed"))),
            Fault::Full { forever } if needs_space && due(forever) => {
                Err(Error::resource_exhausted(format!("cannot {what}: no space left on device")))
            }
            Fault::Broken { forever } if due(forever) => {
                Err(Error::data_loss(format!("cannot {what}: input/output error")))
            }
            _ => Ok(()),
        }
    }
}

/// The bytes of a file after a power cut.
fn survivors(bytes: &Bytes, random: &mut Random, keeps: &mut impl FnMut(&mut Random) -> bool) -> Vec<u8> {
    if bytes.unsynced.is_empty() {
        return bytes.durable.clone();
    }
    let (short, long) = (bytes.durable.len().min(bytes.now.len()), bytes.durable.len().max(bytes.now.len()));
    let len = match keeps(random) {
        true => bytes.now.len(),
        false => short + random.below(long - short + 1),
    };
    let mut out = bytes.durable.clone();
    out.resize(len, 0);
    let sectors: BTreeSet<usize> =
        bytes.unsynced.iter().flat_map(|&(from, to)| from / SECTOR..to.div_ceil(SECTOR)).collect();
    for sector in sectors {
        if keeps(random) {
            for (at, byte) in out.iter_mut().enumerate().skip(sector * SECTOR).take(SECTOR) {
                *byte = bytes.now.get(at).copied().unwrap_or(0);
            }
        }
    }
    out
}

fn absent(tried: &str, path: &Path) -> Error {
    Error::not_found(format!("cannot {tried} {}: no such file or directory", path.display()))
}

impl State {
    fn find(&self, path: &Path) -> Option<usize> {
        let mut node = 0;
        for part in path.components() {
            match part {
                Component::Normal(name) => match &self.nodes[node] {
                    Node::Dir(names) => node = *names.now.get(name)?,
                    Node::File(_) => return None,
                },
                Component::RootDir | Component::CurDir => {}
                other => panic!("a path of a test has no {other:?}"),
            }
        }
        Some(node)
    }

    fn names(&mut self, path: &Path) -> Option<(&mut Names, OsString)> {
        let name = path.file_name()?.to_owned();
        let dir = self.find(path.parent().unwrap_or(Path::new("")))?;
        match &mut self.nodes[dir] {
            Node::Dir(names) => Some((names, name)),
            Node::File(_) => None,
        }
    }

    /// A new name for a node, if it is free.
    fn add(&mut self, tried: &str, path: &Path, node: impl FnOnce(&mut State) -> usize) -> Result<usize> {
        if self.find(path).is_some() {
            return Err(Error::already_exists(format!("cannot {tried} {}: file exists", path.display())));
        }
        self.names(path).ok_or_else(|| absent(tried, path))?;
        let node = node(self);
        let (names, name) = self.names(path).expect("as above");
        names.set(name, Some(node));
        Ok(node)
    }

    fn remove(&mut self, tried: &str, path: &Path, fits: impl Fn(&Node) -> bool) -> Result<usize> {
        let node = self.find(path).ok_or_else(|| absent(tried, path))?;
        if !fits(&self.nodes[node]) {
            let message = format!("cannot {tried} {}: not empty, or of the other kind", path.display());
            return Err(Error::failed_precondition(message));
        }
        let (names, name) = self.names(path).ok_or_else(|| absent(tried, path))?;
        names.set(name, None);
        Ok(node)
    }
}

impl Vfs for FaultVfs {
    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>> {
        let mut state = self.state();
        FaultVfs::call(&mut state, format!("create {}", path.display()), true)?;
        let node = state.add("create", path, |state| {
            state.nodes.push(Node::File(Bytes::default()));
            state.nodes.len() - 1
        })?;
        Ok(Box::new(Handle { vfs: self.clone(), node, path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn OpenFile>> {
        let state = self.state();
        let node = state.find(path).ok_or_else(|| absent("open", path))?;
        match &state.nodes[node] {
            Node::File(_) => Ok(Arc::new(Handle { vfs: self.clone(), node, path: path.to_owned() })),
            Node::Dir(_) => Err(Error::failed_precondition(format!("{}: is a directory", path.display()))),
        }
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.state().find(path).is_some())
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>> {
        let state = self.state();
        match state.find(dir).map(|node| &state.nodes[node]) {
            Some(Node::Dir(names)) => Ok(names.now.keys().cloned().collect()),
            _ => Err(absent("list", dir)),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state();
        let tried = format!("link {} as", from.display());
        FaultVfs::call(&mut state, format!("{tried} {}", to.display()), true)?;
        let node = state.find(from).ok_or_else(|| absent("link", from))?;
        state.add(&tried, to, |_| node)?;
        sync(&mut state.nodes[node]);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state();
        let tried = format!("rename {} to", from.display());
        FaultVfs::call(&mut state, format!("{tried} {}", to.display()), true)?;
        state.names(to).ok_or_else(|| absent(&tried, to))?;
        let node = state.remove("rename", from, |node| matches!(node, Node::File(_)))?;
        let (names, name) = state.names(to).expect("as above");
        names.set(name, Some(node));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        FaultVfs::call(&mut state, format!("remove {}", path.display()), false)?;
        state.remove("remove", path, |node| matches!(node, Node::File(_))).map(|_| ())
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        FaultVfs::call(&mut state, format!("create directory {}", path.display()), true)?;
        let added = state.add("create directory", path, |state| {
            state.nodes.push(Node::Dir(Names::default()));
            state.nodes.len() - 1
        });
        added.map(|_| ())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        FaultVfs::call(&mut state, format!("remove directory {}", path.display()), false)?;
        state
            .remove("remove directory", path, |node| matches!(node, Node::Dir(names) if names.now.is_empty()))
            .map(|_| ())
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        FaultVfs::call(&mut state, format!("sync directory {}", path.display()), true)?;
        match state.find(path) {
            Some(node) => {
                sync(&mut state.nodes[node]);
                Ok(())
            }
            None => Err(absent("sync directory", path)),
        }
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Lock>> {
        let mut state = self.state();
        let node = state.find(dir).ok_or_else(|| absent("lock directory", dir))?;
        while !state.locked.insert(node) {
            state = self.0.unlocked.wait(state).expect("no test panics inside");
        }
        Ok(Box::new(Held { vfs: self.clone(), node }))
    }

    fn try_lock(&self, dir: &Path) -> Result<Option<Box<dyn Lock>>> {
        let mut state = self.state();
        let node = state.find(dir).ok_or_else(|| absent("lock directory", dir))?;
        let taken = state.locked.insert(node);
        drop(state);
        Ok(taken.then(|| Box::new(Held { vfs: self.clone(), node }) as _))
    }
}

/// What has been done becomes durable.
fn sync(node: &mut Node) {
    match node {
        Node::File(bytes) if bytes.lost => {}
        Node::File(bytes) => {
            bytes.durable = bytes.now.clone();
            bytes.unsynced.clear();
        }
        Node::Dir(names) => {
            names.durable = names.now.clone();
            names.unsynced.clear();
        }
    }
}

#[derive(Debug)]
struct Held {
    vfs: FaultVfs,
    node: usize,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.vfs.state().locked.remove(&self.node);
        self.vfs.0.unlocked.notify_all();
    }
}

#[derive(Debug)]
struct Handle {
    vfs: FaultVfs,
    node: usize,
    path: PathBuf,
}

impl NewFile for Handle {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut state = self.vfs.state();
        let tried = format!("write {} bytes to {}", bytes.len(), self.path.display());
        let now = matches!(state.fault, Some((n, _)) if n == state.calls.len());
        let called = FaultVfs::call(&mut state, tried, true);
        let done = match &called {
            Ok(()) => bytes.len(),
            Err(_) if now => bytes.len() / 2,
            Err(_) => 0,
        };
        let Node::File(file) = &mut state.nodes[self.node] else { panic!("handles are of files") };
        let from = file.now.len();
        file.now.extend_from_slice(&bytes[..done]);
        file.unsynced.push((from, from + done));
        called
    }

    fn sync(&mut self) -> Result<()> {
        let mut state = self.vfs.state();
        let called = FaultVfs::call(&mut state, format!("sync {}", self.path.display()), true);
        let node = &mut state.nodes[self.node];
        match (&called, &mut *node) {
            (Ok(()), node) => sync(node),
            (Err(_), Node::File(bytes)) => bytes.lost = true,
            (Err(_), Node::Dir(_)) => panic!("handles are of files"),
        }
        called
    }
}

impl OpenFile for Handle {
    fn len(&self) -> u64 {
        match &self.vfs.state().nodes[self.node] {
            Node::File(bytes) => bytes.now.len() as u64,
            Node::Dir(_) => panic!("handles are of files"),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let state = self.vfs.state();
        let Node::File(bytes) = &state.nodes[self.node] else { panic!("handles are of files") };
        let start = offset as usize;
        match bytes.now.get(start..start.saturating_add(buffer.len())) {
            Some(found) => {
                buffer.copy_from_slice(found);
                Ok(())
            }
            None => Err(Error::data_loss(format!("cannot read {}: it ends before", self.path.display()))),
        }
    }
}
