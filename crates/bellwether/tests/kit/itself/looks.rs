//! Tests of what is read from `/proc`, of holding and of killing processes.

use std::time::{Duration, Instant};

use crate::kit::live::longest_below;
use crate::kit::run::Signal;
use crate::kit::{
    Hold, Kill, Killer, LiveSeries, PATIENCE, Process, Run, eventually, processes, usage,
};
use crate::stage::{FakeControl, complaint, script, status};

#[test]
fn a_process_is_read_with_all_that_matters() {
    let run = script("sleep 600 & echo ready; wait");
    let it = Process::find(run.pid()).unwrap();
    assert_eq!((it.parent, it.group, it.name.as_str()), (processes::own(), run.pid(), "sh"));
    assert_eq!(it.variable("BELLWETHER_RUNTIME_DIR").as_deref(), run.runtime().to_str());
    assert_eq!(it.variable("BELLWETHER"), None);
    let [child] = &processes::children(run.pid())[..] else { panic!("one child") };
    assert!(child.started >= it.started && processes::is_alive(child.pid));
    assert!(processes::descendants(processes::own()).iter().any(|it| it.pid == child.pid));
    assert_eq!(Process::find(0), None);
}

#[test]
fn usage_is_read_and_not_guessed() {
    // The shell counts one more than it has: the folder that it reads.
    let run = script("set -- /proc/$$/fd/*; sleep 600 & echo $# ready; wait");
    let pid = run.pid();
    assert_eq!(run.stdout(), format!("{} ready\n", usage::descriptors(pid) + 1));
    assert!(usage::private_kib(pid) > 0);
    assert!(usage::resident_kib(pid) >= usage::private_kib(pid));
    assert!(usage::allowed_processors(pid).contains(&usage::last_processor(pid)));
    let text = complaint(|| usage::descriptors(0));
    assert!(text.contains("no process 0"), "{text}");
}

#[test]
fn every_wake_up_is_a_voluntary_switch() {
    let run = script("trap : USR1; sleep 600 & echo ready; while kill -0 $!; do wait $!; done");
    let switches = || usage::voluntary_switches(run.pid());
    let before = switches();
    run.signal(Signal::USR1);
    eventually(PATIENCE, "a switch", || (switches() > before).then_some(()));
}

#[test]
fn held_processes_stand_still_until_released() {
    let run = script("sleep 600 & sleep 600 & echo ready; wait");
    let pids: Vec<_> = processes::children(run.pid()).iter().map(|it| it.pid).collect();
    let state = |pid: &i32| Process::find(*pid).unwrap().state;
    let hold = Hold::stop(&pids);
    assert!(pids.iter().all(|pid| state(pid) == 'T'));
    hold.release();
    eventually(PATIENCE, "all to go on", || pids.iter().all(|pid| state(pid) != 'T').then_some(()));
}

#[test]
fn the_dead_are_not_killed_again() {
    let run = script("sleep 600 & echo ready; exec sleep 600");
    let child = processes::children(run.pid())[0].pid;
    let kill = Kill::of(child).expect("it lived");
    assert!(kill.pid == child && kill.from <= kill.to);
    assert!(!processes::is_alive(child), "dead when the kill returns");
    assert_eq!(Kill::of(child), None);
}

#[test]
fn only_listed_children_of_the_spawner_are_killed() {
    let run = script(&format!("{} echo ready; exec sleep 600", "sleep 600 & ".repeat(8)));
    let stranger = script("echo ready; exec sleep 600");
    let children: Vec<_> = processes::children(run.pid()).iter().map(|it| it.pid).collect();
    let listed = [children[1], stranger.pid(), children[4], children[6]];
    let control = FakeControl::of(&run, move || status(&listed, "idle"));
    let series = LiveSeries::of(&run);
    let lasting = Duration::from_millis(300);
    let kills = Killer { per_second: 20, lasting, seed: 7 }.run(&run);
    let mut killed: Vec<_> = kills.iter().map(|it| it.pid).collect();
    killed.sort_unstable();
    assert_eq!(killed, [children[1], children[4], children[6]]);
    assert!(stranger.is_alive() && processes::is_alive(children[0]));
    assert!(series.longest_below(4) > Duration::ZERO);
    drop(control);
}

#[test]
fn nobody_to_kill_is_a_failure() {
    let run = script("echo ready; exec sleep 600");
    let _control = FakeControl::of(&run, || status(&[], "idle"));
    let killer = Killer { per_second: 1000, lasting: Duration::ZERO, seed: 0 };
    assert!(complaint(|| killer.run(&run)).contains("nobody was killed"));
}

#[test]
fn the_time_below_the_minimum_is_the_longest_one() {
    let start = Instant::now();
    let check = |series: &[(u64, usize)], seconds: u64| {
        let at = |(second, live): &(u64, usize)| (start + Duration::from_secs(*second), *live);
        let samples: Vec<_> = series.iter().map(at).collect();
        assert_eq!(longest_below(&samples, 4), Duration::from_secs(seconds), "{series:?}");
    };
    check(&[], 0);
    check(&[(0, 4), (1, 5)], 0);
    check(&[(0, 4), (1, 3), (2, 4)], 0);
    check(&[(0, 3), (1, 2), (2, 4), (3, 3), (6, 3)], 3);
    check(&[(0, 0), (1, 0), (5, 3), (6, 4), (7, 3)], 5);
}

#[test]
fn a_server_without_a_status_has_no_series() {
    let run = Run::start("/bin/true", &[]);
    let series = LiveSeries::of(&run);
    assert!(complaint(|| series.longest_below(1)).contains("never answered"));
}
