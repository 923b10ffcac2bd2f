//! What a manager names, lists, keeps and restores, as TensorFlow's does; and what it makes of a directory that is not as it
//! left it.

use super::fault_vfs::FaultVfs;
use super::interop::Interop;
use super::program::{DIRECTORY, Program, expected_files, files};
use super::scratch;
use modulor::checkpoint::{Checkpoint, CheckpointManager, latest_checkpoint};
use modulor::prelude::*;
use modulor_wire::state::CheckpointState;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn at(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

fn names(paths: &[PathBuf]) -> Vec<&str> {
    paths.iter().map(|path| path.strip_prefix(DIRECTORY).expect("below it").to_str().expect("UTF-8")).collect()
}

/// Saves the states 1 to `n`.
fn save(program: &Program, manager: &CheckpointManager, n: i64) -> Result<()> {
    for n in 1..=n {
        program.set(n);
        manager.save()?;
    }
    Ok(())
}

fn state_text(vfs: &FaultVfs) -> String {
    String::from_utf8(vfs.bytes(at("checkpoint")).expect("it is there")).expect("UTF-8")
}

fn state(vfs: &FaultVfs) -> CheckpointState {
    CheckpointState::parse(&state_text(vfs)).expect("TensorFlow's form")
}

fn change_state(vfs: &FaultVfs, change: impl FnOnce(&mut CheckpointState)) {
    let mut state = state(vfs);
    change(&mut state);
    vfs.put(at("checkpoint"), state.print().as_bytes());
}

/// Changes one byte of the values of a checkpoint.
fn damage(vfs: &FaultVfs, name: &str) {
    let path = at(&format!("{name}.data-00000-of-00001"));
    let mut bytes = vfs.bytes(&path).expect("it is there");
    bytes[100] ^= 1;
    vfs.put(path, &bytes);
}

#[test]
fn saves_are_numbered_listed_and_the_newest_kept() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().max_to_keep(2);
    assert_eq!(manager.directory(), Path::new(DIRECTORY));
    assert_eq!((manager.checkpoints()?, manager.latest_checkpoint()?), (vec![], None));
    assert_eq!(manager.save()?, Some(at("ckpt-1")));
    save(&program, &manager, 3)?;
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-3", "ckpt-4"]);
    assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-4")));
    assert_eq!((program.read(at("ckpt-3"))?, program.read(at("ckpt-4"))?), (2, 3));
    assert_eq!(files(&vfs.shared(), DIRECTORY.as_ref()), expected_files(&vfs.shared(), DIRECTORY.as_ref()));
    Ok(())
}

#[test]
fn five_are_kept_if_nothing_is_said_and_all_if_that_is_said() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    save(&program, &program.manager(), 7)?;
    assert_eq!(names(&program.manager().checkpoints()?), ["ckpt-3", "ckpt-4", "ckpt-5", "ckpt-6", "ckpt-7"]);
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    save(&program, &program.manager().max_to_keep(None), 7)?;
    assert_eq!(program.manager().checkpoints()?.len(), 7);
    Ok(())
}

#[test]
fn a_restored_count_goes_on() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    save(&program, &program.manager().max_to_keep(2), 3)?;
    let next = Program::on(&vfs);
    let manager = next.manager().max_to_keep(2);
    let latest = manager.restore_or_initialize()?;
    assert_eq!(latest.path, Some(at("ckpt-3")));
    assert!(latest.skipped.is_empty());
    assert_eq!(next.get(), 3);
    assert_eq!(manager.save()?, Some(at("ckpt-4")));
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-3", "ckpt-4"]);
    Ok(())
}

#[test]
fn a_save_may_have_a_number_and_a_name_of_the_callers() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let checkpoint = program.checkpoint();
    let manager = CheckpointManager::new(checkpoint.clone(), DIRECTORY).checkpoint_name("best");
    assert_eq!(manager.save_numbered(100)?, Some(at("best-100")));
    program.set(5);
    assert_eq!(manager.save_numbered(40)?, Some(at("best-40")));
    // A save of the same number moves to the end.
    assert_eq!(manager.save_numbered(100)?, Some(at("best-100")));
    assert_eq!(names(&manager.checkpoints()?), ["best-40", "best-100"]);
    assert_eq!(program.read(at("best-100"))?, 5);
    assert_eq!(checkpoint.save_counter().value()?.item::<i64>()?, 3);
    assert_eq!(manager.save()?, Some(at("best-4")));
    let error = manager.save_numbered(u64::MAX).unwrap_err();
    assert_eq!(error.message(), "the number 18446744073709551615 of a checkpoint is above 9223372036854775807");
    Ok(())
}

#[test]
fn managers_of_two_names_leave_each_others_checkpoints() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let best = program.manager().checkpoint_name("best").max_to_keep(1);
    best.save()?;
    save(&program, &program.manager().max_to_keep(2), 4)?;
    assert_eq!(names(&best.checkpoints()?), ["best-1", "ckpt-3", "ckpt-4"]);
    assert_eq!(best.save()?, Some(at("best-2")));
    assert_eq!(names(&best.checkpoints()?), ["ckpt-3", "ckpt-4", "best-2"]);
    Ok(())
}

#[test]
fn the_state_file_is_in_the_form_of_tensorflow() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    save(&program, &program.manager().max_to_keep(2), 3)?;
    let state = state(&vfs);
    let [first, second] = state.all_model_checkpoint_timestamps[..] else { panic!("{state:?}") };
    let preserved = state.last_preserved_timestamp;
    assert!(preserved < first && first <= second && second - preserved < 3600.0, "{state:?}");
    let expected = format!(
        "model_checkpoint_path: \"ckpt-3\"\n\
         all_model_checkpoint_paths: \"ckpt-2\"\n\
         all_model_checkpoint_paths: \"ckpt-3\"\n\
         all_model_checkpoint_timestamps: {first:?}\n\
         all_model_checkpoint_timestamps: {second:?}\n\
         last_preserved_timestamp: {preserved:?}\n"
    );
    assert_eq!(state_text(&vfs), expected);
    Ok(())
}

#[derive(Module)]
struct Dense {
    #[variable(shape = [3, units], init = Zeros)]
    w: Variable,
    #[variable(shape = [units], init = Zeros)]
    b: Variable,
    #[config]
    units: usize,
}

#[derive(Module)]
struct Net {
    dense_1: Dense,
    dense_2: Dense,
}

#[test]
fn a_directory_of_tensorflows_manager_is_gone_on_with() -> Result<()> {
    let directory = scratch("manager-of-tensorflow");
    let managed = Interop::open("ckpt_root").folder.join("managed");
    for file in std::fs::read_dir(&managed).expect("it is committed") {
        let file = file.expect("readable").path();
        std::fs::copy(&file, directory.join(file.file_name().expect("it has one"))).expect("there is room");
    }
    let before = std::fs::read_to_string(directory.join("checkpoint")).expect("text");

    assert_eq!(latest_checkpoint(&directory)?, Some(directory.join("ckpt-3")));
    let (net, step) = (Net { dense_1: Dense::new(3), dense_2: Dense::new(2) }, Variable::new(0_i64));
    let checkpoint = Checkpoint::default().with("net", &net).with("step", &step);
    let manager = CheckpointManager::new(checkpoint, &directory).max_to_keep(2);
    assert_eq!(manager.checkpoints()?, [directory.join("ckpt-2"), directory.join("ckpt-3")]);
    assert_eq!(manager.restore_or_initialize()?.path, Some(directory.join("ckpt-3")));
    assert_eq!(step.value()?.item::<i64>()?, 30);
    assert_eq!(net.dense_1.b.value()?.to_vec::<f32>()?, [3.351_462_8, 2.089_424_4, 2.686_607_4]);

    assert_eq!(manager.save()?, Some(directory.join("ckpt-4")));
    assert_eq!(manager.checkpoints()?, [directory.join("ckpt-3"), directory.join("ckpt-4")]);
    assert!(!directory.join("ckpt-2.index").exists() && !directory.join("ckpt-2.data-00000-of-00001").exists());
    // Its times stay as they were.
    let after = std::fs::read_to_string(directory.join("checkpoint")).expect("text");
    let kept: Vec<&str> = after.lines().filter(|line| before.lines().any(|old| old == *line)).collect();
    assert_eq!(
        kept,
        [
            "all_model_checkpoint_paths: \"ckpt-3\"",
            "all_model_checkpoint_timestamps: 1795399355.3084602",
            "last_preserved_timestamp: 1795399354.2563133"
        ]
    );
    Ok(())
}

#[test]
fn one_for_every_n_hours_is_kept_for_good() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().max_to_keep(1).keep_checkpoint_every_n_hours(2.0);
    for n in 1..=6 {
        manager.save()?;
        // An hour and a bit goes by.
        change_state(&vfs, |state| {
            state.all_model_checkpoint_timestamps.iter_mut().for_each(|time| *time -= 3700.0);
            state.last_preserved_timestamp -= 3700.0;
        });
        assert_eq!(names(&manager.checkpoints()?), [format!("ckpt-{n}")]);
    }
    // 1 comes a second after the start; 3 is two hours after it, 5 is two hours after 3.
    let there: Vec<i64> = (1..=6).filter(|n| vfs.bytes(at(&format!("ckpt-{n}.index"))).is_some()).collect();
    assert_eq!(there, [3, 5, 6]);
    // With nothing better, they are there to go on from.
    damage(&vfs, "ckpt-6");
    assert_eq!(manager.latest_usable()?.path, Some(at("ckpt-5")));
    Ok(())
}

#[test]
fn a_save_waits_for_its_interval() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let with_interval = || program.manager().checkpoint_interval(10, &program.step);
    let manager = with_interval();
    let at_step = |manager: &CheckpointManager, n: i64| {
        program.set(n);
        manager.save()
    };
    assert_eq!(at_step(&manager, 3)?, Some(at("ckpt-1")));
    assert_eq!(at_step(&manager, 12)?, None);
    assert_eq!(at_step(&manager, 13)?, Some(at("ckpt-2")));
    assert_eq!(manager.save_numbered(50)?, None);
    // A restore begins an interval.
    let manager = with_interval();
    manager.restore_or_initialize()?;
    assert_eq!(at_step(&manager, 22)?, None);
    assert!(at_step(&manager, 23)?.is_some());
    let manager = with_interval();
    assert!(manager.save()?.is_some());
    // A step counter that went back is no reason to save.
    assert_eq!(at_step(&manager, 5)?, None);
    Ok(())
}

#[test]
fn where_there_is_nothing_the_init_function_runs() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let manager = program.manager().init_fn(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    assert_eq!(manager.restore_or_initialize()?.path, None);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    manager.save()?;
    assert!(manager.restore_or_initialize()?.path.is_some());
    assert_eq!(runs.load(Ordering::Relaxed), 1);

    let manager =
        Program::on(&FaultVfs::default()).manager().init_fn(|| Err(Error::not_found("no pretrained weights")));
    assert_eq!(manager.restore_or_initialize().unwrap_err().message(), "no pretrained weights");
    Ok(())
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_written() {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let cases: Vec<(CheckpointManager, &str)> = vec![
        (program.manager().max_to_keep(0), "max_to_keep is 0: at least the newest checkpoint is kept"),
        (
            program.manager().keep_checkpoint_every_n_hours(f64::NAN),
            "keep_checkpoint_every_n_hours is NaN, and must be above 0",
        ),
        (
            program.manager().keep_checkpoint_every_n_hours(-1.0),
            "keep_checkpoint_every_n_hours is -1, and must be above 0",
        ),
        (
            program.manager().checkpoint_name("../ckpt"),
            "checkpoint_name is \"../ckpt\", and must be the name of a file, without a directory",
        ),
        (
            program.manager().checkpoint_name(""),
            "checkpoint_name is \"\", and must be the name of a file, without a directory",
        ),
        (
            program.manager().checkpoint_name("a/"),
            "checkpoint_name is \"a/\", and must be the name of a file, without a directory",
        ),
    ];
    for (manager, message) in cases {
        for error in [manager.save().unwrap_err(), manager.restore_or_initialize().unwrap_err()] {
            assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, message));
        }
    }
    assert!(vfs.tree().is_empty());
}

#[test]
fn a31_a_state_file_that_is_none_is_said_and_the_files_are_counted() -> Result<()> {
    let huge = vec![b' '; (16 << 20) + 1];
    let cases: [(&[u8], &str); 4] = [
        (b"model_checkpoint_path ckpt-1\n", "line 1: expected `:` after `model_checkpoint_path`, found 'c'"),
        (b"\xff\xfe\x00", "is no text: invalid utf-8 sequence of 1 bytes from index 0"),
        (b"\0\0\0\0", "line 1: expected the name of a field, found '\\0'"),
        (&huge, "has 16777217 bytes, and a state file at most 16777216"),
    ];
    for (bytes, message) in cases {
        let vfs = FaultVfs::default();
        let program = Program::on(&vfs);
        let manager = program.manager().max_to_keep(2);
        save(&program, &manager, 3)?;
        vfs.put(at("checkpoint"), bytes);
        assert_eq!(names(&manager.checkpoints()?), ["ckpt-2", "ckpt-3"]);
        assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-3")));
        let latest = manager.restore_or_initialize()?;
        assert_eq!(latest.path, Some(at("ckpt-3")));
        let [(path, error)] = &latest.skipped[..] else { panic!("{latest:?}") };
        assert_eq!(*path, at("checkpoint"));
        assert_eq!(error.message(), format!("{}: {message}", at("checkpoint").display()));
        // What no state file lists is not the manager's to remove.
        save(&program, &manager, 3)?;
        assert_eq!(names(&manager.checkpoints()?), ["ckpt-5", "ckpt-6"]);
        assert!(vfs.bytes(at("ckpt-2.index")).is_some());
    }
    Ok(())
}

#[test]
fn a32_a_state_file_that_leads_out_of_its_directory_is_not_followed() -> Result<()> {
    let lead: [fn(&mut CheckpointState, &str); 2] = [
        |state, path| state.model_checkpoint_path = path.to_owned(),
        |state, path| state.all_model_checkpoint_paths[0] = path.to_owned(),
    ];
    for outside in ["../evil-9", "/run/evil-9", "sub/ckpt-9", "..", ".", "/", "/run/training", "a/../ckpt-2"] {
        for lead in lead {
            let vfs = FaultVfs::default();
            let program = Program::on(&vfs);
            let manager = program.manager();
            save(&program, &manager, 2)?;
            program.set(9);
            program.checkpoint().write("/run/evil-9")?;
            change_state(&vfs, |state| lead(state, outside));
            assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-2")));
            assert_eq!(names(&manager.checkpoints()?), ["ckpt-1", "ckpt-2"]);
            let latest = manager.restore_or_initialize()?;
            assert_eq!(program.get(), 2);
            let message = format!(
                "{}: names {outside:?}, which is not in its directory, and is not followed",
                at("checkpoint").display()
            );
            assert_eq!(latest.skipped[0].1.message(), message);
            manager.max_to_keep(1).save()?;
            assert!(vfs.bytes("/run/evil-9.index").is_some());
        }
    }
    Ok(())
}

#[test]
fn an_absolute_path_into_the_directory_is_followed() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager();
    save(&program, &manager, 2)?;
    change_state(&vfs, |state| {
        state.model_checkpoint_path = at("ckpt-1").display().to_string();
        state.all_model_checkpoint_paths = vec![at("ckpt-2").display().to_string(), "./ckpt-1".to_owned()];
    });
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-2", "ckpt-1"]);
    assert_eq!(manager.latest_usable()?.path, Some(at("ckpt-1")));
    Ok(())
}

#[test]
fn what_tensorflow_lists_without_times_is_found_and_never_removed() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().max_to_keep(1);
    manager.save()?;
    change_state(&vfs, |state| state.all_model_checkpoint_timestamps.clear());
    assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-1")));
    save(&program, &manager, 2)?;
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-3"]);
    assert!(vfs.bytes(at("ckpt-1.index")).is_some() && vfs.bytes(at("ckpt-2.index")).is_none());
    Ok(())
}

#[test]
fn b15_order_is_by_saves_and_numbers_whatever_the_clock_says() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().max_to_keep(3).keep_checkpoint_every_n_hours(1.0);
    save(&program, &manager, 3)?;
    // All of that was written in the year 2100, as far as the clock knew then.
    change_state(&vfs, |state| {
        state.all_model_checkpoint_timestamps.iter_mut().for_each(|time| *time = 4_102_444_800.0);
        state.last_preserved_timestamp = 4_102_444_800.0;
    });
    let before = state(&vfs).all_model_checkpoint_timestamps[0];
    // And the number goes back.
    manager.save_numbered(2)?;
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-1", "ckpt-3", "ckpt-2"]);
    assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-2")));
    let after = state(&vfs);
    assert!(after.all_model_checkpoint_timestamps.iter().all(|&time| time < before), "{after:?}");
    assert!(after.last_preserved_timestamp < before, "{after:?}");
    manager.save_numbered(10)?;
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-3", "ckpt-2", "ckpt-10"]);
    // Without the state file numbers count, as numbers.
    vfs.shared().remove_file(&at("checkpoint"))?;
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-2", "ckpt-3", "ckpt-10"]);
    assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-10")));
    Ok(())
}

#[test]
fn b16_a_damaged_latest_is_skipped_and_named() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager();
    save(&program, &manager, 4)?;
    damage(&vfs, "ckpt-4");
    vfs.shared().remove_file(&at("ckpt-3.data-00000-of-00001"))?;
    // TensorFlow's answer, which looks at no bytes.
    assert_eq!(manager.latest_checkpoint()?, Some(at("ckpt-4")));
    let latest = manager.restore_or_initialize()?;
    assert_eq!(latest.path, Some(at("ckpt-2")));
    assert_eq!(program.get(), 2);
    let [(fourth, damaged), (third, missing)] = &latest.skipped[..] else { panic!("{latest:?}") };
    assert_eq!((fourth, third), (&at("ckpt-4"), &at("ckpt-3")));
    assert_eq!(damaged.kind(), ErrorKind::DataLoss);
    let message = damaged.message();
    assert!(message.starts_with("/run/training/ckpt-4.data-00000-of-00001: key \"weights/.ATTRIBUTES/"), "{message}");
    assert!(missing.message().starts_with("cannot open /run/training/ckpt-3.data-00000-of-00001: "), "{missing}");

    // The run goes on, over the damaged one.
    program.set(8);
    assert_eq!(manager.save()?, Some(at("ckpt-3")));
    assert_eq!(names(&manager.checkpoints()?), ["ckpt-1", "ckpt-2", "ckpt-4", "ckpt-3"]);
    assert_eq!(manager.latest_usable()?.path, Some(at("ckpt-3")));
    Ok(())
}

#[test]
fn b16_where_all_are_damaged_nothing_is_begun_anew() -> Result<()> {
    let vfs = FaultVfs::default();
    let program = Program::on(&vfs);
    let manager = program.manager().init_fn(|| panic!("there is something to restore"));
    save(&program, &manager, 2)?;
    damage(&vfs, "ckpt-1");
    damage(&vfs, "ckpt-2");
    program.set(7);
    let error = manager.restore_or_initialize().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "/run/training: there are checkpoints, and none can be restored; an empty directory is one to begin in"
    );
    assert!(lines[1].contains("ckpt-2.data-00000-of-00001: key"), "{text}");
    assert!(lines[2].contains("ckpt-1.data-00000-of-00001: key"), "{text}");
    assert_eq!(lines.len(), 3);
    assert_eq!(program.get(), 7);
    Ok(())
}

#[test]
fn a_checkpoint_of_another_program_is_not_skipped() -> Result<()> {
    let vfs = FaultVfs::default();
    save(&Program::on(&vfs), &Program::on(&vfs).manager(), 2)?;
    let larger = Program::new(vfs.shared(), 200);
    let error = larger.manager().restore_or_initialize().unwrap_err();
    assert!(error.to_string().contains("weights"), "{error}");
    assert_eq!(larger.get(), 0);
    Ok(())
}

#[test]
fn a_directory_that_is_not_there_has_no_checkpoints_and_is_not_made() -> Result<()> {
    let directory = scratch("manager-reads").join("not/there");
    let manager = CheckpointManager::new(Program::on_disk(3).checkpoint(), &directory);
    assert_eq!(latest_checkpoint(&directory)?, None);
    assert_eq!(manager.checkpoints()?, Vec::<PathBuf>::new());
    assert_eq!(manager.restore_or_initialize()?.path, None);
    assert!(!directory.exists());
    manager.save()?;
    assert_eq!(latest_checkpoint(&directory)?, Some(directory.join("ckpt-1")));
    Ok(())
}
