//! A program whose whole state is one number, so that a state that is mixed of two shows.

use super::fault_vfs::FaultVfs;
use modulor::checkpoint::{Checkpoint, CheckpointManager};
use modulor::prelude::*;
use modulor::variable::{commit, snapshot};
use modulor::vfs::Vfs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the managers of tests in memory are; its parent is not there at first.
pub const DIRECTORY: &str = "/run/training";

/// All elements of all variables are the same number.
pub struct Program {
    pub step: Variable,
    weights: Variable,
    bias: Variable,
    vfs: Arc<dyn Vfs>,
}

impl Program {
    pub fn new(vfs: Arc<dyn Vfs>, weights: usize) -> Program {
        let zeros = |n: usize| Variable::new(Tensor::zeros([n], DType::F32).expect("they are small"));
        Program { step: Variable::new(0_i64), weights: zeros(weights), bias: zeros(7), vfs }
    }

    /// On a file system in memory.
    pub fn on(vfs: &FaultVfs) -> Program {
        Program::new(vfs.shared(), 100)
    }

    /// On the machine's.
    pub fn on_disk(weights: usize) -> Program {
        Program::new(modulor::vfs::disk(), weights)
    }

    pub fn checkpoint(&self) -> Checkpoint {
        let Program { step, weights, bias, vfs } = self;
        Checkpoint::default().with("step", step).with("weights", weights).with("bias", bias).on(vfs.clone())
    }

    /// A manager of a new handle, which has counted nothing, in [`DIRECTORY`].
    pub fn manager(&self) -> CheckpointManager {
        CheckpointManager::new(self.checkpoint(), DIRECTORY)
    }

    /// Goes to the state `n`, in one step for all other threads.
    pub fn set(&self, n: i64) {
        let filled = |v: &Variable| {
            let value = Tensor::fill(v.shape().expect("it has one"), &Tensor::scalar(n as f32)).expect("a float");
            (v.clone(), value)
        };
        let step = (self.step.clone(), Tensor::scalar(n));
        commit([step, filled(&self.weights), filled(&self.bias)]).expect("they fit");
    }

    /// The number of the state; fails when it is no whole one.
    pub fn get(&self) -> i64 {
        let values = snapshot(&[self.step.clone(), self.weights.clone(), self.bias.clone()]).expect("they have values");
        let n = values[0].item::<i64>().expect("a scalar");
        for value in &values[1..] {
            assert!(value.to_vec::<f32>().expect("floats").iter().all(|&x| x == n as f32), "step {n} and {value}");
        }
        n
    }

    /// The state in the checkpoint at `prefix`.
    pub fn read(&self, prefix: impl AsRef<Path>) -> Result<i64> {
        let fresh = Program::new(self.vfs.clone(), self.weights.shape().expect("it has one")[0]);
        let _all = fresh.checkpoint().restore(prefix)?;
        Ok(fresh.get())
    }

    /// The state that a new run begins with; `None` when there is nothing to restore.
    pub fn usable(&self, directory: &str) -> Option<i64> {
        let checkpoint = self.checkpoint();
        let latest = CheckpointManager::new(checkpoint.clone(), directory).restore_or_initialize().unwrap();
        let path = latest.path?;
        let number = checkpoint.save_counter().value().unwrap().item::<i64>().unwrap();
        assert!(path.ends_with(format!("ckpt-{number}")), "{} has counted {number} saves", path.display());
        Some(self.get())
    }
}

/// The files that a directory may have: the state file, if it is there, and the files of the checkpoints that have an index.
/// All of them must be whole.
pub fn expected_files(vfs: &Arc<dyn Vfs>, directory: &Path) -> BTreeSet<PathBuf> {
    let state = directory.join("checkpoint");
    let mut files = BTreeSet::from_iter(vfs.exists(&state).unwrap().then_some(state));
    for name in vfs.list(directory).unwrap() {
        let name = name.into_string().expect("tests name files in UTF-8");
        let Some(name) = name.strip_suffix(".index") else { continue };
        let bundle = modulor::checkpoint::bundle::Bundle::open_on(vfs, directory.join(name)).unwrap();
        assert!(bundle.verify().faults.is_empty(), "{name}");
        files.insert(bundle.index_path());
        files.extend(bundle.shards().map(|(path, _)| path.to_owned()));
    }
    files
}

/// The files that it has.
pub fn files(vfs: &Arc<dyn Vfs>, directory: &Path) -> BTreeSet<PathBuf> {
    vfs.list(directory).unwrap().iter().map(|name| directory.join(name)).collect()
}
