//! The settings of a [`Builder`] about how handlers change, end and are replaced.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::Builder;
#[cfg(feature = "http")]
use super::{Limits, Proxies};
use crate::balance::{Rule, Slo};
use crate::error::{Error, Result};
use crate::pool::rules::Amount;
use crate::scoreboard::control::MAX_SLOTS;
use crate::spawner::access::{Peer, Role};
use crate::spawner::change::Way;
#[cfg(feature = "tls")]
use crate::tls::Tls;

impl Builder {
    /// Lets the number of handlers follow the load, from `min` to `max`, of which `max` is 1 to 4096;
    /// default: always [`Builder::handlers`].
    ///
    /// With a `min` of 0 the last handler goes, too, when nobody has come for a while; the spawner
    /// then watches the address, and the first request waits until a handler is made. Which rule
    /// decides is set by [`Builder::balance`].
    #[must_use]
    pub const fn bounds(mut self, min: usize, max: usize) -> Self {
        self.bounds = Some((min, max));
        self
    }

    /// Lets the number of handlers follow the load, from 1 to 256.
    ///
    /// Fewer than 256 are made where more would only wait for processors or memory.
    #[must_use]
    pub const fn elastic(self) -> Self {
        self.bounds(1, 256)
    }

    /// Sets the rule by which the number of handlers follows the load; default `demand`.
    ///
    /// ```no_run
    /// # use bellwether::{Server, balance::Rule};
    /// let rule: Rule = "spare:min=5,max=10".parse()?; // as Apache prefork does
    /// let server = Server::builder().listen("127.0.0.1:8080").bounds(1, 64).balance(rule).open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn balance(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Sets how long requests may wait in the buffer, and how many of them may wait longer; default
    /// 99 % less than 50 ms.
    ///
    /// By it the rule `demand` weighs fast service against what handlers cost.
    #[must_use]
    pub const fn slo(mut self, slo: Slo) -> Self {
        self.slo = slo;
        self
    }

    /// Sets how long a handler may take from its fork until it is ready; default 60 s.
    #[must_use]
    pub const fn boot_timeout(mut self, limit: Duration) -> Self {
        self.rules.times.boot = limit;
        self
    }

    /// Sets how long a stop is announced, with everybody still served, before newcomers are
    /// refused; default 0.
    ///
    /// For load balancers that look at the status, not at refused connections.
    #[must_use]
    pub const fn announce(mut self, time: Duration) -> Self {
        self.rules.times.announce = time;
        self
    }

    /// Sets how long a leaving handler may take to finish its requests before it is sent
    /// SIGTERM; default 30 s.
    #[must_use]
    pub const fn stop_grace(mut self, grace: Duration) -> Self {
        self.rules.times.grace = grace;
        self
    }

    /// Sets how long a handler may take to end after SIGTERM before it is sent SIGKILL; default
    /// 5 s.
    #[must_use]
    pub const fn kill_after(mut self, time: Duration) -> Self {
        self.rules.times.last = time;
        self
    }

    /// Sets how long handlers serve on when their spawner has died; default 10 s.
    #[must_use]
    pub const fn orphan_grace(mut self, grace: Duration) -> Self {
        self.orphan_grace = grace;
        self
    }

    /// Sets how long the first handler of a new generation must have served before the others
    /// follow; default 1 s.
    #[must_use]
    pub const fn canary(mut self, time: Duration) -> Self {
        self.rules.change.canary = time;
        self
    }

    /// Sets how many handlers there may be above the number wanted while generations change or a
    /// handler is replaced; default 25 %, at least 1.
    #[must_use]
    pub const fn max_surge(mut self, amount: Amount) -> Self {
        self.rules.change.surge = amount;
        self
    }

    /// Sets how many of the handlers wanted may be missing while generations change; default 0.
    #[must_use]
    pub const fn max_unavailable(mut self, amount: Amount) -> Self {
        self.rules.change.unavailable = amount;
        self
    }

    /// Sets how many old generations may still be finishing requests; default 4.
    ///
    /// One more, and the oldest is ended as if its grace were over.
    #[must_use]
    pub const fn old_generations(mut self, most: usize) -> Self {
        self.rules.change.old_generations = most;
        self
    }

    /// Sets after which time the handler is told that a request takes too long; default never.
    ///
    /// Counted from the arrival of the request, its wait in the buffer included. What is told and
    /// what it can do about it: [`Deadline`](crate::Deadline).
    #[must_use]
    pub const fn soft_deadline(mut self, time: Duration) -> Self {
        self.rules.deadlines.soft = Some(time);
        self
    }

    /// Sets after which time the spawner ends a handler whose request takes too long; default
    /// never.
    ///
    /// Counted as the soft deadline. The handler gets SIGTERM, and SIGKILL 100 ms later; other
    /// requests of the same process are cut with it.
    #[must_use]
    pub const fn hard_deadline(mut self, time: Duration) -> Self {
        self.rules.deadlines.hard = Some(time);
        self
    }

    /// Sets after how many requests a handler is replaced, less up to a tenth by chance; default
    /// never.
    #[must_use]
    pub const fn max_requests(mut self, requests: u64) -> Self {
        self.rules.recycling.requests = Some(requests);
        self
    }

    /// Sets at which age a handler is replaced, less up to a tenth by chance; default never.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.rules.recycling.age = Some(age);
        self
    }

    /// Sets with how many bytes of memory a handler is replaced, less up to a tenth by chance;
    /// default never.
    ///
    /// Pages that several processes share count in proportion (PSS of proc_pid_smaps(5)).
    #[must_use]
    pub const fn max_memory(mut self, bytes: u64) -> Self {
        self.rules.recycling.memory = Some(bytes);
        self
    }

    /// Sets from which share of the time on that anybody on the machine waits for memory idle
    /// handlers are replaced, the one with the most memory first, one every 10 s; in percent, more
    /// than 0 and at most 100, default never.
    ///
    /// The share is that of the last ten seconds (`some avg10` of /proc/pressure/memory); a kernel
    /// without pressure stall information never tells it.
    #[must_use]
    pub const fn memory_pressure(mut self, percent: f64) -> Self {
        self.rules.recycling.memory_pressure = Some(percent);
        self
    }

    /// Sets after how many attempts in a row without any handler ever ready the server gives up, at
    /// least 1; default 4.
    ///
    /// Between them it pauses, 100 ms first and twice as long each time. What does not start a second
    /// time either (a program with a mistake in it) is better told at once.
    #[must_use]
    pub const fn boot_attempts(mut self, attempts: u32) -> Self {
        self.rules.boot_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Sets how many handlers that died may be replaced in a minute; default 6000.
    ///
    /// A leaky bucket: unused allowance is kept for up to ten seconds.
    #[must_use]
    pub const fn crash_budget(mut self, per_minute: u32) -> Self {
        self.rules.crash_budget = per_minute;
        self
    }

    /// Sets whether connections that have waited too long are sent away while more come than can be
    /// served; default no.
    ///
    /// When the buffer is never empty for ten times the wait that [`slo`](Self::slo) allows (50 ms
    /// unless set, so 500 ms) though there are as many handlers as there can be, those that have
    /// waited longer than allowed are not served but sent away, so that the others are on time;
    /// before that, those that have waited ten times as long are. What is said to them is up to [`Handler::shed`](crate::Handler::shed); HTTP answers 503, asynchronous handlers
    /// close the connection. Nobody is sent away while the server stops, by a handler that leaves,
    /// and at Unix sockets, where the kernel does not tell how long somebody has waited.
    ///
    /// Off unless asked for, because only who knows the clients can judge whether they rather
    /// wait or rather are turned away.
    #[must_use]
    pub const fn shed(mut self, shed: bool) -> Self {
        self.rules.shed = shed;
        self
    }

    /// Lets another user or group command the server; root and its own user always may.
    #[must_use]
    pub fn allow(mut self, role: Role, peer: Peer) -> Self {
        self.access.allow(role, peer);
        self
    }

    /// Takes the addresses over from handlers whose spawner has died, if there are any.
    #[must_use]
    pub const fn take_over(mut self) -> Self {
        self.take_over = true;
        self
    }

    /// Lets a reload run this program anew in place, so that `main` reads its configuration again.
    ///
    /// Default: a reload runs the load function anew, in a new template, with these settings. With
    /// this one it goes the way of an upgrade to the same program.
    #[must_use]
    pub const fn reload_program(mut self) -> Self {
        self.reload_way = Way::Program;
        self
    }

    /// Lets this program run once more beside the server, called with these arguments: an observer.
    ///
    /// The spawner starts it, again when it ends (after half a second, then less and less often, up to a
    /// minute), and ends it with the server. It finds the server's name in the variable
    /// `BELLWETHER_SERVER`. Of several pools, the first's counts.
    ///
    /// ```
    /// # fn main() -> Result<(), bellwether::Error> {
    /// if std::env::args().nth(1).as_deref() == Some("observe") {
    ///     let server = std::env::var("BELLWETHER_SERVER").unwrap_or_default();
    ///     let status = bellwether::remote::status(Some(&server))?; // and tell it to somebody
    /// #   return Ok(());
    /// }
    /// let builder = bellwether::Server::builder().listen("127.0.0.1:8080").companion(["observe"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn companion(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.companion = Some(arguments.into_iter().map(Into::into).collect());
        self
    }

    /// Keeps the text that these settings were read from, in case a newer program fails.
    ///
    /// The program that comes back then finds a configuration that may be the newer one's; it
    /// asks [`upgrade::configuration_before`](crate::upgrade::configuration_before) for its own.
    #[must_use]
    pub fn configuration(mut self, text: impl Into<String>) -> Self {
        self.configuration = Some(text.into());
        self
    }

    /// Lets ps(1) and top(1) show what each process is, in place of its arguments; default off.
    ///
    /// As in `bellwether: spawner web 4/8 handlers` and `bellwether: handler 3 gen 2 of web`. The
    /// arguments stay as they are for `std::env::args` and for a reload. It costs a handler nothing:
    /// its title is a write to memory at its birth. Where the kernel refuses (it has no
    /// CONFIG_CHECKPOINT_RESTORE), the arguments are shown as before.
    #[must_use]
    pub const fn titles(mut self, on: bool) -> Self {
        self.titles = on;
        self
    }

    /// Lets a status tell how many lines of the spawner's log were lost, as the program counts them
    /// here; default: it tells of none.
    #[must_use]
    pub const fn lost_lines(mut self, count: &'static AtomicU64) -> Self {
        self.lost_lines = Some(count);
        self
    }

    /// Sets how long clients of HTTP are waited for, and how much they may send; default
    /// [`Limits::default`].
    ///
    /// For [`http`](crate::http) alone.
    #[cfg(feature = "http")]
    #[must_use]
    pub const fn http_limits(mut self, limits: Limits) -> Self {
        self.http_limits = limits;
        self
    }

    /// Sets which proxies are before the server, and how they say for whom they ask; default none.
    ///
    /// For [`http`](crate::http) alone. What nobody is trusted to say is then taken out of the
    /// requests: `Forwarded`, `X-Real-IP` and all `X-Forwarded-…`, as [`Origin`](crate::http::Origin)
    /// has it.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Lets HTTP be spoken over TLS, and over nothing else, at all addresses of the server.
    ///
    /// For [`http`](crate::http) alone; another pool with it does not run.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Refuses settings that contradict each other.
    pub(super) fn check_rules(&self) -> Result<()> {
        #[cfg(feature = "http")]
        self.http_limits.check()?;
        #[cfg(feature = "http")]
        self.proxies.as_ref().map_or(Ok(()), Proxies::check)?;
        if let Some((min, max)) = self.bounds
            && !(min..=MAX_SLOTS).contains(&max.max(1)) | (max == 0)
        {
            let problem = format!(
                "{min}..{max} is not possible; choose up to {MAX_SLOTS}, the smaller first, and at \
                 least 1 as the larger"
            );
            return Err(Error::configure("bounds", problem));
        }
        let deadlines = self.rules.deadlines;
        if let (Some(soft), Some(hard)) = (deadlines.soft, deadlines.hard)
            && soft > hard
        {
            let problem = format!(
                "the handler would be told after {} s and ended after {} s; choose a soft deadline \
                 before the hard one",
                soft.as_secs_f64(),
                hard.as_secs_f64()
            );
            return Err(Error::configure("deadlines", problem));
        }
        if let Some(percent) = self.rules.recycling.memory_pressure
            && !(percent > 0.0 && percent <= 100.0)
        {
            let problem =
                format!("{percent} % is not possible; choose more than 0 and at most 100");
            return Err(Error::configure("memory pressure", problem));
        }
        let zero = [
            ("soft deadline", deadlines.soft == Some(Duration::ZERO)),
            ("hard deadline", deadlines.hard == Some(Duration::ZERO)),
            ("max requests", self.rules.recycling.requests == Some(0)),
            ("max age", self.rules.recycling.age == Some(Duration::ZERO)),
            ("max memory", self.rules.recycling.memory == Some(0)),
            ("crash budget", self.rules.crash_budget == 0),
        ];
        match zero.iter().find(|(_, is_zero)| *is_zero) {
            Some((what, _)) => {
                Err(Error::configure(what, "0 is not possible; leave it out for never"))
            }
            None => Ok(()),
        }
    }
}
