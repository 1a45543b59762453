//! Invariant I2: the spawner reaps its dead at once.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use super::processes::{self, Pid, Process};
use super::sampler::Sampler;

/// A child of the spawner: a pid alone may be given to two processes in turn.
type Name = (Pid, u64);

const PERIOD: Duration = Duration::from_millis(10);

/// How long a child may stay a zombie…
const LIMIT: Duration = Duration::from_millis(100);

/// …and how often it must have been seen as one: a sampler that the machine starved for a while
/// sees an old zombie too, but it sees it only twice.
const SIGHTINGS: usize = 8;

/// Watches the children of a spawner for zombies that stay.
#[derive(Debug)]
pub struct ZombieWatch {
    sampler: Sampler<Vec<Name>>,
}

impl ZombieWatch {
    /// Starts to watch.
    pub fn over(spawner: Pid) -> Self {
        Self { sampler: Sampler::start(PERIOD, move || Some(zombies_of(spawner))) }
    }

    /// Ends the watch: the children that stayed zombies for longer than 100 ms.
    pub fn finish(self) -> Vec<Pid> {
        let mut sightings: BTreeMap<Name, Vec<Instant>> = BTreeMap::new();
        for (when, zombies) in self.sampler.finish() {
            zombies.into_iter().for_each(|name| sightings.entry(name).or_default().push(when));
        }
        let stayed = sightings.into_iter().filter(|(_, times)| is_long(times));
        stayed.map(|((pid, _), _)| pid).collect()
    }

    /// Ends the watch and asserts that there was none.
    #[track_caller]
    pub fn assert_none(self) {
        let zombies = self.finish();
        assert!(zombies.is_empty(), "children left unreaped for over {LIMIT:?}: {zombies:?}");
    }
}

fn zombies_of(spawner: Pid) -> Vec<Name> {
    let children = children(spawner).unwrap_or_else(|| processes::children(spawner));
    children.iter().filter(|it| it.is_zombie()).map(|it| (it.pid, it.started)).collect()
}

/// The children by the kernel's own list, which not every kernel has. It may miss one while others
/// come and go, but costs far less than a look at all processes, a hundred times a second.
fn children(spawner: Pid) -> Option<Vec<Process>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{spawner}/task")).ok()? {
        let pids = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
        children.extend(pids.split_whitespace().filter_map(|it| Process::find(it.parse().ok()?)));
    }
    Some(children)
}

/// Whether one zombie, seen at these times, stayed too long.
pub fn is_long(times: &[Instant]) -> bool {
    let span = times.last().zip(times.first()).map(|(last, first)| *last - *first);
    times.len() >= SIGHTINGS && span > Some(LIMIT)
}
