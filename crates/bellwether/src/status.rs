//! What a running server says about itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The answer to `status`: a server at one moment.
///
/// Numbers of handlers come from their telemetry pages, checked; of a page that contradicts
/// itself the last copy that did not is shown, with `corrupt` set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// The server's name, as given or made from its first address.
    pub name: String,
    /// The version of bellwether that runs.
    pub version: String,
    /// The spawner's process.
    pub pid: i32,
    /// `serving`, `announcing`, `stopping` or `drained`.
    pub state: String,
    /// Seconds since the server started, over upgrades.
    pub uptime_s: f64,
    /// Why no new client can reach the server, if none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// The reload or upgrade that is going on: what it does now.
    #[serde(default)]
    pub change: Option<String>,
    /// How often the spawner's program was replaced.
    #[serde(default)]
    pub upgrades: u64,
    /// Lines of its log that the spawner could not write, since its program began
    /// ([`Builder::lost_lines`](crate::Builder::lost_lines)).
    #[serde(default)]
    pub lost_lines: u64,
    /// Its pools.
    pub pools: Vec<PoolStatus>,
}

/// One pool: addresses, handlers, sums.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The pool's name; that of the server where there is one pool.
    pub name: String,
    /// `serving`, `announcing`, `stopping` or `drained`.
    pub state: String,
    /// The current generation, from 1.
    pub generation: u64,
    /// Who wakes when a request arrives: `all`, `some:K`, `one` or `turn`.
    pub notification: String,
    /// Of programs: whether they serve `serial` (one connection at a time) or `concurrent`, or
    /// `unknown` as long as that was not seen; absent for handlers of our own.
    ///
    /// Programs do not tell what they did: of them `open` is known, and no wake-ups, wins or requests.
    #[serde(default)]
    pub serves: Option<String>,
    /// Threads a handler.
    pub threads: usize,
    /// The fewest handlers that there may be.
    pub min: usize,
    /// The most handlers that there may be.
    pub max: usize,
    /// Handlers wanted now.
    pub want: usize,
    /// Why so many: the last decision in words and numbers.
    pub why: String,
    /// What keeps the number from being higher, if something does: `max`, `processors`, `memory`
    /// or `memory pressure`.
    #[serde(default)]
    pub limited_by: Option<String>,
    /// Where the pool listens.
    pub addresses: Vec<AddressStatus>,
    /// The handlers, by slot and generation.
    pub handlers: Vec<HandlerStatus>,
    /// Sums over all handlers there have been.
    pub totals: Totals,
    /// How many requests a second were served in the last seconds; absent for programs.
    #[serde(default)]
    pub requests_per_s: Option<f64>,
    /// How many handlers ended by what: `recycle`, `drain`, `change`, `stop`, `deadline`, `boot`, `oom`,
    /// `contradiction`, `signal SIGSEGV` and the like, `exit 1` and the like.
    #[serde(default)]
    pub ended: BTreeMap<String, u64>,
    /// How long accepted requests had waited in the buffer.
    pub waits: Waits,
    /// How long requests were served: until a blocking or asynchronous handler was done with the
    /// connection, over HTTP until a service had answered.
    #[serde(default)]
    pub service: ServiceTimes,
}

/// One address and the buffer behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AddressStatus {
    /// The address as opened.
    pub address: String,
    /// Connections that wait.
    pub depth: u32,
    /// How many may wait.
    pub limit: u32,
    /// Connections that the kernel dropped here; absent for Unix sockets.
    pub overflows: Option<u64>,
}

/// One handler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// Its slot, from 0.
    pub slot: usize,
    /// Its process; absent while it is being made.
    pub pid: Option<i32>,
    /// The processes of its program, which `pid` started; empty for handlers of our own.
    #[serde(default)]
    pub processes: Vec<i32>,
    /// The generation it belongs to.
    pub generation: u64,
    /// `starting`, `idle`, `busy`, `leaving`, `ending` or `killed`.
    pub state: String,
    /// Seconds since it was asked for.
    pub age_s: f64,
    /// Seconds that its oldest request has been served or has waited; absent where it has none, or
    /// does not say (programs; asynchronous handlers whose requests have neither deadline nor label).
    #[serde(default)]
    pub busy_s: Option<f64>,
    /// Seconds of processor time that its processes have used.
    ///
    /// This and the memory are read from /proc by [`remote::status`](crate::remote::status), in the
    /// process that asks: absent where that may not look, or in another namespace of processes.
    #[serde(default)]
    pub cpu_s: Option<f64>,
    /// Bytes of memory of its processes, what is shared counted in proportion (PSS).
    #[serde(default)]
    pub memory: Option<u64>,
    /// How often one of its threads woke and tried to accept.
    pub wakeups: u64,
    /// How often it won.
    pub wins: u64,
    /// How often another was first.
    pub losses: u64,
    /// Requests served.
    pub requests: u64,
    /// Connections that ended by a panic.
    pub panics: u64,
    /// Connections it holds.
    pub open: u64,
    /// Voluntary context switches of all threads of its processes, wake-ups that the kernel took back
    /// included; read by who asks, like the memory.
    #[serde(default)]
    pub switches: Option<u64>,
    /// Times that `accept` failed for another reason than being late.
    pub accept_errors: u64,
    /// Microseconds from its fork to its first accepted connection.
    pub first_accept_us: Option<u64>,
    /// Whether its telemetry contradicts itself.
    pub corrupt: bool,
    /// How its program says that it is (`STATUS=` of sd_notify(3)), or what a handler of our own says of
    /// its oldest unfinished request ([`Deadline::label`](crate::Deadline::label)), at most 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

/// Sums since the server started.
///
/// At every moment `accepted = completed + aborted + in_flight` and `spawned = exited + alive`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// Connections won.
    pub accepted: u64,
    /// Connections served to their end.
    pub completed: u64,
    /// Connections that ended with a panic or with their handler.
    pub aborted: u64,
    /// Connections being served.
    pub in_flight: u64,
    /// Requests served.
    pub requests: u64,
    /// Wake-ups for a request.
    pub wakeups: u64,
    /// Races lost.
    pub losses: u64,
    /// Connections, of those accepted, that had waited in the buffer for longer than they should
    /// have (50 ms).
    #[serde(default)]
    pub late: u64,
    /// Connections, of those late, that were sent away instead of served; they count as completed,
    /// and not as requests.
    #[serde(default)]
    pub shed: u64,
    /// Handlers made.
    pub spawned: u64,
    /// Handlers that have ended.
    pub exited: u64,
    /// Handlers that ended though nobody wanted them to.
    pub crashed: u64,
    /// Handlers that exist.
    pub alive: u64,
}

/// Waits in the buffer, in classes of powers of two milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waits {
    /// `counts[0]` waited less than 1 ms, `counts[k]` less than 2^k ms and at least 2^(k-1) ms.
    pub counts: Vec<u64>,
}

impl Waits {
    /// Returns the upper bound in milliseconds of the class in which the share `p` (0 to 1) lies.
    #[must_use]
    pub fn percentile_ms(&self, p: f64) -> Option<u64> {
        let total: u64 = self.counts.iter().sum();
        let mut left = (total as f64 * p.clamp(0.0, 1.0)).ceil();
        for (k, &count) in self.counts.iter().enumerate() {
            left -= count as f64;
            if count > 0 && left <= 0.0 {
                return Some(1 << k);
            }
        }
        None
    }
}

/// How long requests were served, in classes each at most a quarter wide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceTimes {
    /// The classes in which there is something, by their bounds.
    pub classes: Vec<ServiceTime>,
    /// All times together, in microseconds.
    pub total_us: u64,
}

/// How many requests were served for about as long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceTime {
    /// All of the class are shorter than this, in microseconds; 16 or more.
    pub below_us: u64,
    /// How many requests.
    pub count: u64,
}

impl ServiceTimes {
    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classes.iter().fold(0, |sum, class| sum.saturating_add(class.count))
    }

    /// Returns the upper bound of the class in which the share `p` (0 to 1) lies; `None` where
    /// nothing was counted.
    #[must_use]
    pub fn percentile(&self, p: f64) -> Option<Duration> {
        let mut left = (self.count() as f64 * p.clamp(0.0, 1.0)).ceil().max(1.0);
        self.classes.iter().find_map(|class| {
            left -= class.count as f64;
            (left <= 0.0).then(|| Duration::from_micros(class.below_us))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_service_times_is_below_its_percentile() {
        let class = |below_us, count| ServiceTime { below_us, count };
        let times = ServiceTimes { classes: vec![class(16, 98), class(1024, 2)], total_us: 0 };
        let check = |p, us| assert_eq!(times.percentile(p), Some(Duration::from_micros(us)), "{p}");
        check(0.0, 16);
        check(0.98, 16);
        check(0.99, 1024);
        check(1.0, 1024);
        assert_eq!((times.count(), ServiceTimes::default().percentile(0.5)), (100, None));
    }

    #[test]
    fn a_percentile_is_the_upper_bound_of_its_class() {
        let waits = Waits { counts: vec![98, 0, 1, 1] };
        assert_eq!(waits.percentile_ms(0.5), Some(1));
        assert_eq!(waits.percentile_ms(0.99), Some(4));
        assert_eq!(waits.percentile_ms(1.0), Some(8));
        assert_eq!(Waits::default().percentile_ms(0.5), None);
    }
}
