//! Checkpoints: files of TensorFlow, files that are broken, faults while writing, and what is restored.

mod broken;
pub mod fault_vfs;
mod faults;
mod fixtures;
mod fuzz;
mod interop;
mod kills;
mod malformed;
mod manager;
mod manager_faults;
mod merging;
mod program;
mod restore;
mod safetensors;
mod tensorflow;
mod writing;

use interop::Interop;
use std::path::PathBuf;

/// An empty folder of this name for one test.
fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("checkpoint").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("ours");
    }
    std::fs::create_dir_all(&dir).expect("below the target folder");
    dir
}
