//! Processes that save in a loop, and are killed while they do: this test binary, started again.

use super::fault_vfs::Random;
use super::program::{Program, expected_files, files};
use super::scratch;
use modulor::checkpoint::CheckpointManager;
use modulor::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// In which directory a child is to save; unset where the tests just run.
const DIRECTORY: &str = "MODULOR_TEST_CHILD_DIRECTORY";

/// What it is to do there.
const WORK: &str = "MODULOR_TEST_CHILD_WORK";

/// Large enough that a file takes several writes.
const WEIGHTS: usize = 100_000;

#[test]
#[ignore = "what the other tests start as a process of its own"]
fn child() {
    let (Ok(directory), Ok(work)) = (std::env::var(DIRECTORY), std::env::var(WORK)) else { return };
    let program = Program::on_disk(WEIGHTS);
    match &*work {
        "manager" | "asynchronous" => {
            let manager = CheckpointManager::new(program.checkpoint(), directory).max_to_keep(2);
            let manager = if work == "asynchronous" { manager.asynchronous() } else { manager };
            manager.restore_or_initialize().unwrap();
            say(program.get());
            loop {
                let n = program.get() + 1;
                program.set(n);
                manager.save().unwrap();
                // In the background, all but this one are done.
                say(if work == "asynchronous" { n - 1 } else { n });
            }
        }
        first => {
            let first: i64 = first.parse().unwrap();
            for n in first..first + 40 {
                program.set(n);
                program.checkpoint().write(Path::new(&directory).join("same")).unwrap();
            }
        }
    }
}

/// Tells the parent which state is saved.
fn say(n: i64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "saved {n}").and_then(|()| out.flush()).expect("the parent listens");
}

fn start(directory: &Path, work: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    command.args(["checkpoint::kills::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(DIRECTORY, directory).env(WORK, work);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Starts a child, lets it save so many times and go on for some time, ends it, and checks what it left; gives the state that
/// was found.
fn end_one(directory: &Path, work: &str, saves: usize, then: Duration, end: impl FnOnce(&mut Child)) -> i64 {
    let mut child = start(directory, work);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let said = |line: std::io::Result<String>| line.ok()?.rsplit_once("saved ")?.1.parse::<i64>().ok();
    let mut done = lines.by_ref().filter_map(said).nth(saves).expect("it restores and saves");
    thread::sleep(then);
    end(&mut child);
    done = lines.filter_map(said).last().unwrap_or(done);
    child.wait().expect("it has ended");

    let program = Program::on_disk(WEIGHTS);
    let manager = CheckpointManager::new(program.checkpoint(), directory);
    // Nothing was cleaned yet.
    let latest = manager.latest_usable().unwrap();
    assert!(latest.skipped.is_empty(), "{latest:?}");
    let found = latest.path.map_or(0, |path| program.read(path).unwrap());
    assert!(
        found == done || found == done + 1 || (work == "asynchronous" && found == done + 2),
        "{found} after {done}"
    );
    assert_eq!(program.usable(&directory.display().to_string()).unwrap_or(0), found);
    let disk = modulor::vfs::disk();
    assert_eq!(files(&disk, directory), expected_files(&disk, directory), "after {found}");
    found
}

#[test]
#[ignore = "slow: a release build starts 200 processes"]
fn b02_of_200_random_kills_none_loses_a_save() {
    let directory = scratch("b02");
    let mut random = Random(2);
    let (mut last, mut least) = (0, 0);
    for kill in 0..200 {
        let work = if kill % 2 == 0 { "manager" } else { "asynchronous" };
        let saves = random.below(3);
        let then = Duration::from_micros(random.below(20_000) as u64);
        // SIGKILL.
        let found = end_one(&directory, work, saves, then, |child| child.kill().expect("it runs"));
        assert!(found >= last, "{found} after {last}");
        last = found;
        // What is written in the background is said when the next one begins.
        least += if work == "manager" { saves } else { saves.saturating_sub(1) };
    }
    println!("200 of 200 usable, {last} saves");
    assert!(last >= least as i64, "{last} of {least} saves");
}

#[test]
#[cfg(unix)]
fn b17_a_termination_during_a_save_tears_nothing() {
    use std::os::unix::process::ExitStatusExt;
    let directory = scratch("b17");
    for after in [0, 5, 10, 20, 40] {
        end_one(&directory, "manager", 1, Duration::from_millis(after), |child| {
            let kill = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            assert!(kill.expect("every system has it").success());
            assert_eq!(child.wait().expect("it ends").signal(), Some(15));
        });
    }
}

#[test]
fn b09_two_processes_of_one_prefix_mix_nothing() {
    let directory = scratch("b09-processes");
    let mut children = [1000, 2000].map(|n| (n, start(&directory, &n.to_string())));
    let program = Program::on_disk(WEIGHTS);
    let prefix = directory.join("same");
    let mut reads = 0;
    while children.iter_mut().any(|(_, child)| child.try_wait().expect("ours").is_none()) {
        match program.read(&prefix) {
            // `read` fails if it is of more than one save.
            Ok(n) => {
                assert!((1000..1040).contains(&n) || (2000..2040).contains(&n), "{n}");
                reads += 1;
            }
            Err(e) => assert!(e.kind() == ErrorKind::NotFound && reads == 0, "{e}"),
        }
    }
    for (n, child) in children {
        let output = child.wait_with_output().expect("ours");
        assert!(output.status.success(), "{n}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let last = program.read(&prefix).unwrap();
    assert!(last == 1039 || last == 2039, "{last}");
    let disk = modulor::vfs::disk();
    assert_eq!(files(&disk, &directory), expected_files(&disk, &directory));
}
