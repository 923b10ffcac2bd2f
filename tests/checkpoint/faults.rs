//! Every fault at every call of a save: the prefix names one whole bundle, and after a commit the new one.

use super::fault_vfs::{Fault, FaultVfs};
use modulor::checkpoint::bundle::{Bundle, BundleWriter, clean_orphans};
use modulor::prelude::*;
use modulor::vfs::Vfs;
use modulor::{ErrorKind, Result};
use std::sync::Arc;

const PREFIX: &str = "/run/ckpt";

/// The tensors of the n-th save: all differ from those of the others.
fn tensors(n: usize) -> Vec<(String, Tensor)> {
    let row = |len: usize| (0..len).map(|i| (i * 31 + n * 1000) as f32).collect::<Vec<_>>();
    let strings = Tensor::strings([2], [format!("save {n}"), "-".repeat(40 + n)]).expect("two");
    vec![
        ("w".to_owned(), Tensor::from(row(300))),
        ("b".to_owned(), Tensor::from(row(7))),
        ("names".to_owned(), strings),
        (format!("only/{n}"), Tensor::from(row(40))),
    ]
}

fn save(vfs: &Arc<dyn Vfs>, n: usize, shards: usize) -> Result<()> {
    let mut writer = BundleWriter::new_on(vfs, PREFIX).shards(shards);
    for (key, tensor) in tensors(n) {
        writer.add(&key, &tensor)?;
    }
    writer.commit()
}

/// Which save the prefix names; everything in it is compared.
fn found(vfs: &FaultVfs) -> Option<usize> {
    let bundle = match Bundle::open_on(&vfs.shared(), PREFIX) {
        Ok(bundle) => bundle,
        Err(e) if e.kind() == ErrorKind::NotFound && vfs.bytes(format!("{PREFIX}.index")).is_none() => return None,
        Err(e) => panic!("neither a bundle nor none: {e}\n{:?}", vfs.tree()),
    };
    let only = bundle.keys().find_map(|key| key.strip_prefix("only/")).expect("each save has one");
    let n: usize = only.parse().expect("a number");
    assert_eq!(bundle.keys().len(), 4);
    for (key, tensor) in tensors(n) {
        let read = bundle.read(&key).unwrap();
        match read.dtype() {
            DType::String => assert_eq!(read.to_strings().unwrap(), tensor.to_strings().unwrap(), "{key}"),
            _ => assert_eq!(read.to_bytes().unwrap(), tensor.to_bytes().unwrap(), "{key}"),
        }
    }
    Some(n)
}

/// No file of a writer that is gone, and none that no index needs.
fn assert_tidy(vfs: &FaultVfs) {
    let files: Vec<String> = vfs.tree().iter().map(|path| path.display().to_string()).collect();
    let bundle = Bundle::open_on(&vfs.shared(), PREFIX).unwrap();
    let mut expected = vec!["/run".to_owned(), format!("{PREFIX}.index")];
    expected.extend(bundle.shards().map(|(path, _)| path.display().to_string()));
    expected.sort();
    assert_eq!(files, expected);
}

/// A disk with saves 0..n of so many shards, and everything durable.
fn with_saves(shards: &[usize]) -> FaultVfs {
    let vfs = FaultVfs::default();
    vfs.shared().create_dir("/run".as_ref()).unwrap();
    vfs.shared().sync_dir("/".as_ref()).unwrap();
    for (n, &shards) in shards.iter().enumerate() {
        save(&vfs.shared(), n, shards).unwrap();
    }
    vfs
}

/// The starts that each test goes through: shards of the saves that are there, and of the next.
const STARTS: &[(&[usize], usize)] = &[(&[], 1), (&[1], 1), (&[1, 1], 1), (&[2], 2), (&[3], 1), (&[], 3)];

/// The mutating calls of the save that follows.
fn calls(start: &FaultVfs, n: usize, shards: usize) -> Vec<String> {
    let vfs = start.restarted();
    vfs.arm(None);
    save(&vfs.shared(), n, shards).unwrap();
    assert_eq!(found(&vfs), Some(n));
    assert_tidy(&vfs);
    vfs.calls()
}

#[test]
fn a_save_makes_these_calls_in_this_order() {
    let pid = std::process::id();
    let said = |calls: Vec<String>| {
        let short = |call: &String| {
            let call = call.replace(&format!("/run/.ckpt.tmp-{pid}-0"), "T").replace("/run/", "");
            call.replace(".data-0000", ".").replace("-of-0000", "/").replace("data-0000", "")
        };
        calls.iter().map(short).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        said(calls(&with_saves(&[]), 0, 1)),
        "create directory T; create T/0; write 1440 bytes to T/0; sync T/0; create T/index; \
         write 199 bytes to T/index; sync T/index; sync directory T; rename T/0 to ckpt.0/1; sync directory /run; \
         rename T/index to ckpt.index; sync directory /run; remove directory T"
    );
    assert_eq!(
        said(calls(&with_saves(&[1]), 1, 1)),
        "create directory T; create T/0; write 1441 bytes to T/0; sync T/0; create T/1; sync T/1; create T/index; \
         write 199 bytes to T/index; sync T/index; sync directory T; rename T/0 to ckpt.0/2; rename T/1 to ckpt.1/2; \
         sync directory /run; rename T/index to ckpt.index; sync directory /run; remove ckpt.0/1; remove directory T"
    );
}

#[test]
fn b12_a_kill_at_every_call_leaves_the_old_bundle_or_the_new_one() {
    for &(before, shards) in STARTS {
        let start = with_saves(before);
        let (old, new) = (before.len().checked_sub(1), before.len());
        let calls = calls(&start, new, shards);
        let commit = calls.iter().position(|call| call.contains(".index")).expect("the index gets its name");
        for (n, call) in calls.iter().enumerate() {
            let vfs = start.restarted();
            vfs.arm(Some((n, Fault::Kill)));
            let saved = save(&vfs.shared(), new, shards);
            let after = vfs.restarted();
            let expected = if n > commit { Some(new) } else { old };
            assert_eq!(found(&after), expected, "killed at {n}, {call}");
            assert!(saved.is_err() || n > commit, "{call}");
            // The next start finds the orphan, and the next save tidies up.
            let orphans = clean_orphans(&after.shared(), "/run").unwrap();
            assert_eq!(found(&after), expected);
            assert!(orphans.len() <= 1);
            save(&after.shared(), new + 1, shards).unwrap();
            assert_eq!(found(&after), Some(new + 1));
            assert_tidy(&after);
        }
    }
}

#[test]
fn a_full_or_broken_disk_at_every_call_is_an_error_and_the_old_bundle_stays() {
    for &(before, shards) in STARTS {
        let start = with_saves(before);
        let (old, new) = (before.len().checked_sub(1), before.len());
        let calls = calls(&start, new, shards);
        let commit = calls.iter().position(|call| call.contains(".index")).expect("the index gets its name");
        for (n, call) in calls.iter().enumerate() {
            for forever in [false, true] {
                for fault in [Fault::Full { forever }, Fault::Broken { forever }] {
                    let vfs = start.restarted();
                    vfs.arm(Some((n, fault)));
                    let saved = save(&vfs.shared(), new, shards);
                    vfs.arm(None);
                    let what = format!("{fault:?} at {n}, {call}");
                    // Making the new index durable is the one step that may fail when it is in place.
                    let expected = if n > commit { Some(new) } else { old };
                    assert_eq!(found(&vfs), expected, "{what}");
                    assert_eq!(saved.is_ok(), n > commit + 1, "{what}: {saved:?}");
                    if let Err(e) = saved {
                        match fault {
                            Fault::Full { .. } => {
                                assert_eq!(e.kind(), ErrorKind::ResourceExhausted, "{what}: {e}");
                                assert!(e.to_string().contains("no space left on device"), "{e}");
                                let needed = format!("the bundle {PREFIX} takes 14");
                                assert!(e.to_string().contains(&needed), "{e}");
                            }
                            _ => assert!(e.to_string().contains("input/output error"), "{e}"),
                        }
                        assert!(e.to_string().contains("/run"), "{e}");
                        if n <= commit && (!forever || matches!(fault, Fault::Full { .. })) {
                            let left: Vec<_> = vfs.tree();
                            assert_eq!(left, start.tree(), "{what}: what was there and nothing else");
                        }
                    }
                    // The same process goes on, and the disk works again.
                    save(&vfs.shared(), new + 1, shards).unwrap();
                    assert_eq!(found(&vfs), Some(new + 1), "{what}");
                    assert_tidy(&vfs);
                }
            }
        }
    }
}

/// The saves that `cuts` power cuts leave at every call; `check` is given the call, whether the save had returned, and
/// what is found.
fn cut(before: &[usize], shards: usize, cuts: u64) {
    let start = with_saves(before);
    let (old, new) = (before.len().checked_sub(1), before.len());
    let calls = calls(&start, new, shards);
    let (mut olds, mut news) = (0, 0);
    for seed in 0..cuts {
        // The last of these is the moment after the save has returned.
        let n = seed as usize % (calls.len() + 1);
        let vfs = start.restarted();
        vfs.arm(Some((n, Fault::Kill)));
        let saved = save(&vfs.shared(), new, shards);
        let after = vfs.power_cut(seed);
        let found_now = found(&after);
        match saved {
            Ok(()) => assert_eq!(found_now, Some(new), "seed {seed}: it was acknowledged"),
            Err(_) => assert!(found_now == old || found_now == Some(new), "seed {seed}: {found_now:?}"),
        }
        *if found_now == Some(new) { &mut news } else { &mut olds } += 1;
        save(&after.shared(), new + 1, shards).unwrap();
        assert_eq!(found(&after), Some(new + 1), "seed {seed}");
        assert_tidy(&after);
        // And a cut right after it.
        assert_eq!(found(&after.power_cut(seed)), Some(new + 1), "seed {seed}");
    }
    assert!(olds > 0 && news > 0, "{olds} old and {news} new: the cuts come before and after the commit");
}

#[test]
fn a_power_cut_during_a_first_save_leaves_nothing_or_all() {
    cut(&[], 1, 1000);
    cut(&[], 3, 1000);
}

#[test]
fn b12_a_power_cut_during_a_later_save_leaves_the_old_bundle_or_the_new_one() {
    cut(&[1], 1, 1000);
    cut(&[2], 2, 1000);
    cut(&[3], 1, 1000);
}

#[test]
fn the_model_of_a_power_cut_loses_what_is_not_synced() {
    // Without the syncs of the protocol the same checks must fail, or they would show nothing.
    let mut states = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let vfs = with_saves(&[1]);
        let fs = vfs.shared();
        let mut file = fs.create("/run/new".as_ref()).unwrap();
        file.write(&[7; 200]).unwrap();
        fs.rename("/run/new".as_ref(), "/run/ckpt.index".as_ref()).unwrap();
        let after = vfs.power_cut(seed);
        let index = after.bytes("/run/ckpt.index").expect("a replaced name is never without a file");
        states.insert(match index {
            i if i == vfs.restarted().bytes("/run/ckpt.index").unwrap() => "all of it",
            i if i.is_empty() => "empty",
            i if i.len() < 200 && i.contains(&7) => "shorter",
            i if i.contains(&0) && i.len() == 200 => "zeros",
            _ => "the old one, or part of the new",
        });
        states.insert(if after.bytes("/run/new").is_some() { "both names" } else { "one name" });
    }
    let all = ["all of it", "empty", "shorter", "zeros", "the old one, or part of the new", "both names", "one name"];
    assert_eq!(states, all.into_iter().collect());
}
