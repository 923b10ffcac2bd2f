//! Whole saves under faults: whatever goes wrong, and wherever, the next run begins with the state before or the new one, and
//! with the new one if the save said that it was done.

use super::fault_vfs::{Fault, FaultVfs};
use super::program::{DIRECTORY, Program, expected_files, files};
use super::scratch;
use modulor::checkpoint::{CheckpointManager, latest_checkpoint};
use modulor::prelude::*;
use modulor::vfs::{Lock, NewFile, OpenFile, Vfs};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A way to save the state of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Manager,
    Asynchronous,
    /// To one prefix, which is replaced each time.
    Write,
}

const WAYS: [Way; 3] = [Way::Manager, Way::Asynchronous, Way::Write];

/// How many power cuts each save is put through; a debug build is slow.
const CUTS: u64 = if cfg!(debug_assertions) { 100 } else { 1000 };

/// With two kept, the third save is the first to remove one.
const SAVES: i64 = 4;

fn in_directory(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

impl Way {
    fn manager(self, program: &Program) -> CheckpointManager {
        let manager = program.manager().max_to_keep(2);
        if self == Way::Asynchronous { manager.asynchronous() } else { manager }
    }

    /// A disk on which the states 1 to `n` have been saved.
    fn after(self, n: i64) -> FaultVfs {
        let vfs = FaultVfs::default();
        (1..=n).for_each(|n| self.save(&vfs, n).unwrap());
        vfs
    }

    /// Saves the state `n`, as a run that restored the one before.
    fn save(self, vfs: &FaultVfs, n: i64) -> Result<()> {
        let program = Program::on(vfs);
        if self == Way::Write {
            program.set(n);
            return program.checkpoint().write(in_directory("only"));
        }
        let manager = self.manager(&program);
        manager.restore_or_initialize()?;
        program.set(n);
        manager.save()?;
        manager.close()
    }

    /// The state that the next run begins with, 0 for none.
    fn usable(self, vfs: &FaultVfs) -> i64 {
        let program = Program::on(vfs);
        if self != Way::Write {
            return program.usable(DIRECTORY).unwrap_or(0);
        }
        match vfs.bytes(in_directory("only.index")) {
            Some(_) => program.read(in_directory("only")).unwrap(),
            None => 0,
        }
    }

    /// There is nothing but whole checkpoints, no more than are kept.
    fn check_tidy(self, vfs: &FaultVfs, after: &str) {
        let expected = expected_files(&vfs.shared(), DIRECTORY.as_ref());
        assert_eq!(files(&vfs.shared(), DIRECTORY.as_ref()), expected, "{self:?}, {after}");
    }

    /// A new run saves twice, and nothing is left of what happened before.
    fn goes_on(self, vfs: &FaultVfs, after: &str) {
        let n = self.usable(vfs);
        self.save(vfs, n + 1).unwrap();
        self.save(vfs, n + 2).unwrap();
        assert_eq!(self.usable(vfs), n + 2, "{self:?}, {after}");
        self.check_tidy(vfs, after);
        if self != Way::Write {
            let kept = Program::on(vfs).manager().checkpoints().unwrap();
            assert_eq!(kept, [in_directory(&format!("ckpt-{}", n + 1)), in_directory(&format!("ckpt-{}", n + 2))]);
        }
    }

    /// The calls that change something in the save of the state `n`.
    fn calls(self, before: &FaultVfs, n: i64) -> Vec<String> {
        let vfs = before.restarted();
        vfs.arm(None);
        self.save(&vfs, n).unwrap();
        vfs.calls()
    }

    /// Runs `check` on every save, with a disk on which the saves before it were made, and the number of its calls.
    fn each_save(self, mut check: impl FnMut(&FaultVfs, i64, usize)) {
        for n in 1..=SAVES {
            let before = self.after(n - 1);
            let calls = self.calls(&before, n).len();
            check(&before, n, calls);
        }
    }
}

#[test]
fn b01_a_kill_at_every_call_leaves_the_state_before_or_the_new_one() {
    for way in WAYS {
        let mut points = 0;
        way.each_save(|before, n, calls| {
            points += calls;
            for call in 0..calls {
                let vfs = before.restarted();
                vfs.arm(Some((call, Fault::Kill)));
                let saved = way.save(&vfs, n);
                let (after, context) = (vfs.restarted(), format!("killed at call {call}: {:?}", vfs.calls().get(call)));
                let usable = way.usable(&after);
                assert!(
                    usable == n || (usable == n - 1 && saved.is_err()),
                    "{way:?} {n}, {context}: {usable} after {saved:?}"
                );
                way.goes_on(&after, &context);
            }
        });
        println!("{way:?}: {points} of {points} kill points");
    }
}

#[test]
fn b03_a_power_cut_loses_no_save_that_was_done() {
    for way in WAYS {
        way.each_save(|before, n, _| {
            let vfs = before.restarted();
            way.save(&vfs, n).unwrap();
            for seed in 0..CUTS {
                let after = vfs.power_cut(seed);
                assert_eq!(way.usable(&after), n, "{way:?}, cut {seed} after save {n}: {:?}", after.tree());
                if seed % 20 == 0 {
                    way.goes_on(&after, &format!("cut {seed} after save {n}"));
                }
            }
        });
    }
}

#[test]
fn b03_a_power_cut_during_a_save_leaves_the_state_before_or_the_new_one() {
    for way in WAYS {
        way.each_save(|before, n, calls| {
            for seed in 0..CUTS {
                let call = seed as usize % calls;
                let vfs = before.restarted();
                vfs.arm(Some((call, Fault::Kill)));
                let saved = way.save(&vfs, n);
                let (after, context) = (vfs.power_cut(seed), format!("cut {seed} at call {call} of save {n}"));
                let usable = way.usable(&after);
                assert!(
                    usable == n || (usable == n - 1 && saved.is_err()),
                    "{way:?}, {context}: {usable} after {saved:?}"
                );
                if seed % 20 == 0 {
                    way.goes_on(&after, &context);
                }
            }
        });
    }
}

/// A fault at every call; it gives an error, or was of no importance.
fn check_errors(words: &str, fault: fn(forever: bool) -> Fault) {
    for way in WAYS {
        way.each_save(|before, n, calls| {
            for (call, forever) in (0..calls).flat_map(|call| [(call, true), (call, false)]) {
                let vfs = before.restarted();
                vfs.arm(Some((call, fault(forever))));
                let saved = way.save(&vfs, n);
                let called = vfs.calls().get(call).cloned().unwrap_or_default();
                let context = format!("{way:?}, save {n}, call {call} ({called}), forever {forever}");
                vfs.arm(None);
                if let Err(e) = &saved {
                    assert!(e.message().contains(words) && e.message().contains(" /"), "{context}: {e}");
                }
                // The disk works again, and nothing needs to be cleaned for what was there to be there.
                let latest = latest(way, &vfs);
                assert!(latest == n || (latest == n - 1 && saved.is_err()), "{context}: {latest} after {saved:?}");
                // What has no name yet when the disk is out of order has none to be removed by.
                let removable = !forever || fault(true) == Fault::Full { forever: true };
                if latest == n - 1 && removable && n > 1 {
                    way.check_tidy(&vfs, &context);
                }
                way.goes_on(&vfs, &context);
            }
        });
    }
}

/// The state of the latest checkpoint, by what it is called and not by what can be read.
fn latest(way: Way, vfs: &FaultVfs) -> i64 {
    if way == Way::Write {
        return way.usable(vfs);
    }
    let latest = Program::on(vfs).manager().latest_checkpoint().unwrap();
    latest.map_or(0, |path| Program::on(vfs).read(path).unwrap())
}

#[test]
fn b04_a_full_disk_at_every_call_leaves_the_state_before() {
    check_errors("no space left on device", |forever| Fault::Full { forever });
}

#[test]
fn b05_a_broken_disk_at_every_call_leaves_the_state_before() {
    check_errors("input/output error", |forever| Fault::Broken { forever });
}

#[test]
fn b07_a_directory_that_cannot_be_is_an_error_that_names_it() {
    let folder = scratch("b07");
    std::fs::write(folder.join("file"), "in the way").unwrap();
    let program = Program::on_disk(10);
    let manager = CheckpointManager::new(program.checkpoint(), folder.join("file/training"));
    let error = manager.save().unwrap_err();
    assert!(error.message().contains(&folder.join("file/training").display().to_string()), "{error}");
    assert!(error.message().ends_with("not a directory"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "in the way");
    // Another save of the same manager is no other.
    assert!(manager.save().is_err());
    assert_eq!(program.checkpoint().save_counter().value().unwrap().item::<i64>().unwrap(), 0);
}

#[test]
fn b08_all_that_is_written_is_in_the_directory_itself_so_that_it_can_be_renamed() {
    let vfs = Way::Manager.after(2);
    vfs.arm(None);
    Way::Manager.save(&vfs, 3).unwrap();
    for call in vfs.calls() {
        let paths: Vec<&str> = call.split(' ').filter(|word| word.starts_with('/')).collect();
        assert!(!paths.is_empty() && paths.iter().all(|path| path.starts_with(DIRECTORY)), "{call}");
    }
}

#[test]
fn b10_an_asynchronous_checkpoint_is_of_one_step_while_training_goes_on() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Arc::new(Program::new(vfs.shared(), 50_000));
    let manager = program.manager().max_to_keep(None).asynchronous();
    let stop = Arc::new(AtomicBool::new(false));
    let trainer = thread::spawn({
        let (program, stop) = (program.clone(), stop.clone());
        move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                program.set(n);
            }
            n
        }
    });
    let mut saved = Vec::new();
    for _ in 0..30 {
        let before = program.step.value()?.item::<i64>()?;
        let path = manager.save()?.expect("there is no interval");
        let after = program.step.value()?.item::<i64>()?;
        saved.push((before, path, after));
    }
    stop.store(true, Ordering::Relaxed);
    let steps = trainer.join().expect("it trained");
    manager.close()?;
    assert!(steps > 0);
    for (before, path, after) in saved {
        // `read` fails if it is of more than one step.
        let n = program.read(&path)?;
        assert!((before..=after).contains(&n), "{}: {n}, saved between {before} and {after}", path.display());
    }
    Ok(())
}

#[test]
fn b10_the_values_are_those_of_the_call() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().asynchronous();
    // Whoever holds the lock of the directory holds up all saves.
    vfs.shared().create_dir("/run".as_ref())?;
    vfs.shared().create_dir(DIRECTORY.as_ref())?;
    manager.restore_or_initialize()?;
    let lock = vfs.shared().lock(DIRECTORY.as_ref())?;
    program.set(1);
    let path = manager.save()?.expect("there is no interval");
    program.set(2);
    assert_eq!(manager.latest_checkpoint()?, None);
    drop(lock);
    manager.wait()?;
    assert_eq!(manager.latest_checkpoint()?, Some(path.clone()));
    assert_eq!(program.read(path)?, 1);
    Ok(())
}

#[test]
fn b11_an_error_in_the_background_is_given_once_and_nothing_is_counted() -> Result<()> {
    let vfs = Way::Manager.after(2);
    let program = Program::on(&vfs);
    let checkpoint = program.checkpoint();
    let manager = CheckpointManager::new(checkpoint.clone(), DIRECTORY).max_to_keep(2).asynchronous();
    manager.restore_or_initialize()?;
    let fail = || {
        vfs.arm(Some((0, Fault::Full { forever: true })));
        assert_eq!(manager.save().unwrap(), Some(in_directory("ckpt-3")));
    };
    let check = |error: Error| {
        vfs.arm(None);
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        let message = error.message();
        assert!(message.starts_with("cannot create directory /run/training/.ckpt-3.tmp-"), "{message}");
        assert!(message.ends_with(": no space left on device"), "{message}");
        assert_eq!(checkpoint.save_counter().value().unwrap().item::<i64>().unwrap(), 2);
        assert_eq!(manager.latest_checkpoint().unwrap(), Some(in_directory("ckpt-2")));
        assert_eq!(manager.checkpoints().unwrap(), [in_directory("ckpt-1"), in_directory("ckpt-2")]);
    };
    fail();
    check(manager.wait().unwrap_err());
    manager.wait()?;
    fail();
    check(manager.save().unwrap_err());
    fail();
    check(manager.restore_or_initialize().unwrap_err());
    assert_eq!(manager.save()?, Some(in_directory("ckpt-3")));
    fail_at_close(manager, &vfs);
    assert_eq!(latest(Way::Manager, &vfs), 2);
    assert_eq!(Program::on(&vfs).manager().latest_checkpoint()?, Some(in_directory("ckpt-3")));
    Ok(())
}

fn fail_at_close(manager: CheckpointManager, vfs: &FaultVfs) {
    manager.wait().unwrap();
    vfs.arm(Some((0, Fault::Broken { forever: true })));
    manager.save().unwrap();
    let error = manager.close().unwrap_err();
    vfs.arm(None);
    assert_eq!(error.kind(), ErrorKind::DataLoss);
}

#[test]
fn b11_after_a_save_that_failed_the_interval_is_over() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().checkpoint_interval(10, &program.step).asynchronous();
    vfs.arm(Some((0, Fault::Full { forever: true })));
    assert!(manager.save()?.is_some());
    program.set(1);
    // Nothing is due, and nothing is waited for.
    assert_eq!(manager.save()?, None);
    assert!(manager.wait().is_err());
    vfs.arm(None);
    assert_eq!(manager.save()?, Some(in_directory("ckpt-1")));
    manager.close()?;
    assert_eq!(latest(Way::Manager, &vfs), 1);
    Ok(())
}

/// A file system with a bug in it.
#[derive(Debug)]
struct Panics;

impl Vfs for Panics {
    fn create(&self, _: &Path) -> Result<Box<dyn NewFile>> {
        panic!("the file system has a bug")
    }
    fn open(&self, path: &Path) -> Result<Arc<dyn OpenFile>> {
        Err(Error::not_found(path.display().to_string()))
    }
    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(path == Path::new(DIRECTORY))
    }
    fn list(&self, _: &Path) -> Result<Vec<OsString>> {
        Ok(Vec::new())
    }
    fn link(&self, _: &Path, _: &Path) -> Result<()> {
        Ok(())
    }
    fn rename(&self, _: &Path, _: &Path) -> Result<()> {
        Ok(())
    }
    fn remove_file(&self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn create_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn remove_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn lock(&self, _: &Path) -> Result<Box<dyn Lock>> {
        Ok(Box::new(Free))
    }
    fn try_lock(&self, _: &Path) -> Result<Option<Box<dyn Lock>>> {
        Ok(Some(Box::new(Free)))
    }
}

#[derive(Debug)]
struct Free;

impl Lock for Free {}

#[test]
fn b11_a_panic_in_the_background_is_an_error() {
    let program = Program::new(Arc::new(Panics), 10);
    let manager = program.manager().asynchronous();
    for _ in 0..2 {
        assert!(manager.save().unwrap().is_some());
        let error = manager.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(error.message(), "the thread that wrote a checkpoint panicked: the file system has a bug");
    }
}

#[test]
fn b13_what_dead_writers_left_is_removed_and_what_living_ones_write_is_not() -> Result<()> {
    let vfs = Way::Manager.after(2);
    let (shared, dead, living) = (vfs.shared(), in_directory(".ckpt-9.tmp-1-0"), in_directory(".ckpt-3.tmp-2-0"));
    for temporary in [&dead, &living] {
        shared.create_dir(temporary)?;
        vfs.put(temporary.join("data-00000"), b"half of it");
    }
    vfs.put(in_directory(".checkpoint.tmp"), b"model_checkpoint");
    // Killed before the index had its name, and before data that were replaced were removed.
    vfs.put(in_directory("ckpt-3.data-00000-of-00001"), b"all of it");
    vfs.put(in_directory("ckpt-2.data-00000-of-00002"), b"what it was");
    // None of the manager's.
    vfs.put(in_directory("other-3.data-00000-of-00001"), b"not ours");
    vfs.put(in_directory("ckpt-03.data-00000-of-00001"), b"not ours");
    let alive = shared.try_lock(&living)?.expect("nobody has it");

    // Who only looks changes nothing.
    let before = vfs.tree();
    let manager = Program::on(&vfs).manager();
    manager.checkpoints()?;
    manager.latest_usable()?;
    assert_eq!(vfs.tree(), before);

    manager.restore_or_initialize()?;
    let left = |vfs: &FaultVfs| -> Vec<String> {
        let expected = expected_files(&vfs.shared(), DIRECTORY.as_ref());
        let files = files(&vfs.shared(), DIRECTORY.as_ref());
        files.difference(&expected).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(left(&vfs), [".ckpt-3.tmp-2-0", "ckpt-03.data-00000-of-00001", "other-3.data-00000-of-00001"]);
    assert_eq!(vfs.bytes(living.join("data-00000")).as_deref(), Some(&b"half of it"[..]));
    drop(alive);
    Program::on(&vfs).manager().restore_or_initialize()?;
    assert_eq!(left(&vfs), ["ckpt-03.data-00000-of-00001", "other-3.data-00000-of-00001"]);
    Ok(())
}

#[test]
fn b14_old_checkpoints_go_when_the_new_one_and_the_state_file_are_durable() {
    let vfs = Way::Manager.after(2);
    vfs.arm(None);
    Way::Manager.save(&vfs, 3).unwrap();
    let pid = std::process::id();
    let said = vfs.calls().into_iter().map(|call| {
        call.replace(&format!("{DIRECTORY}/.ckpt-3.tmp-{pid}-0"), "T").replace(&format!("{DIRECTORY}/"), "")
    });
    let said: Vec<String> = said.filter(|call| !call.starts_with("write ")).collect();
    assert_eq!(
        said.join("; "),
        "create directory T; create T/data-00000; sync T/data-00000; create T/index; sync T/index; sync directory T; \
         rename T/data-00000 to ckpt-3.data-00000-of-00001; sync directory /run/training; \
         rename T/index to ckpt-3.index; sync directory /run/training; remove directory T; \
         create .checkpoint.tmp; sync .checkpoint.tmp; rename .checkpoint.tmp to checkpoint; \
         sync directory /run/training; \
         remove ckpt-1.index; remove ckpt-1.data-00000-of-00001; sync directory /run/training; \
         create .checkpoint.tmp; sync .checkpoint.tmp; rename .checkpoint.tmp to checkpoint; \
         sync directory /run/training"
    );
}

#[test]
fn b14_what_could_not_be_removed_is_listed_and_removed_later() -> Result<()> {
    let before = Way::Manager.after(2);
    let calls = Way::Manager.calls(&before, 3);
    let removal =
        calls.iter().position(|call| call.starts_with("remove /run/training/ckpt-1.index")).expect("it is removed");
    before.arm(Some((removal, Fault::Broken { forever: false })));
    Way::Manager.save(&before, 3)?;
    let kept = || Program::on(&before).manager().checkpoints();
    assert_eq!(kept()?, [1, 2, 3].map(|n| in_directory(&format!("ckpt-{n}"))));
    before.arm(None);
    Way::Manager.save(&before, 4)?;
    assert_eq!(kept()?, [3, 4].map(|n| in_directory(&format!("ckpt-{n}"))));
    Way::Manager.check_tidy(&before, "a removal that failed");
    Ok(())
}

#[test]
fn b09_many_managers_of_one_directory_mix_nothing() -> Result<()> {
    let directory = scratch("b09");
    let threads: Vec<_> = (0..4_i64)
        .map(|k| {
            let directory = directory.clone();
            thread::spawn(move || -> Result<()> {
                let program = Program::on_disk(1000);
                let manager =
                    CheckpointManager::new(program.checkpoint(), directory).checkpoint_name(&format!("run-{k}"));
                let manager = manager.max_to_keep(2);
                for n in 1..=10 {
                    program.set(100 * k + n);
                    manager.save()?;
                    // Each sees its own and those of the others, all whole.
                    for path in manager.checkpoints()? {
                        match program.read(&path) {
                            Err(e) if e.kind() == ErrorKind::NotFound => {}
                            n => assert!(path.ends_with(format!("run-{}-{}", n.clone()? / 100, n? % 100))),
                        }
                    }
                }
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic")?;
    }
    let manager = CheckpointManager::new(Program::on_disk(1000).checkpoint(), &directory);
    let mut kept = manager.checkpoints()?;
    kept.sort();
    let expected = (0..4).flat_map(|k| [10, 9].map(|n| directory.join(format!("run-{k}-{n}"))));
    assert_eq!(kept, expected.collect::<Vec<_>>());
    assert_eq!(latest_checkpoint(&directory)?, manager.latest_usable()?.path);
    let disk = modulor::vfs::disk();
    assert_eq!(files(&disk, &directory), expected_files(&disk, &directory));
    Ok(())
}

#[test]
fn b18_numbers_that_are_none_are_saved_bit_by_bit() -> Result<()> {
    let bits = [0x7fc0_1234_u32, 0xffc0_0001, 0x7f80_0000, 0xff80_0000, 0x8000_0000, 1];
    let odd = Variable::new(Tensor::from(bits.map(f32::from_bits)));
    let vfs = FaultVfs::default();
    let checkpoint = modulor::checkpoint::Checkpoint::default().with("odd", &odd).on(vfs.shared());
    let manager = CheckpointManager::new(checkpoint, DIRECTORY);
    manager.save()?;
    odd.assign(&Tensor::zeros([6], DType::F32)?)?;
    manager.restore_or_initialize()?;
    let read: Vec<u32> = odd.value()?.to_vec::<f32>()?.into_iter().map(f32::to_bits).collect();
    assert_eq!(read, bits);
    Ok(())
}

#[test]
fn b18_a_guard_keeps_what_is_not_finite_out() -> modulor::Result<()> {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (weight, step) = (Variable::new(Tensor::from([1.0_f32, 2.0])), Variable::new(0_i64));
        let vfs = FaultVfs::default();
        let checkpoint = modulor::checkpoint::Checkpoint::default().with("w", &weight).with("step", &step);
        let manager = CheckpointManager::new(checkpoint.on(vfs.shared()).save_guard(), DIRECTORY);
        manager.save()?;
        weight.assign(&Tensor::from([1.0, bad]))?;
        let error = manager.save().unwrap_err();
        let said = "`w/.ATTRIBUTES/VARIABLE_VALUE` is not finite, and `save_guard` is set; nothing was saved";
        assert_eq!(error.message(), said);
        assert_eq!(manager.checkpoints()?.len(), 1);
        manager.restore_or_initialize()?;
        assert_eq!(weight.value()?.to_vec::<f32>()?, [1.0, 2.0]);
    }
    Ok(())
}
