//! What is to be served: requests with their times.

use std::fmt;

/// One request: when it comes, and how long a handler is busy with it if nothing is in its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Seconds since the beginning.
    pub at: f64,
    /// Seconds of service, at least 0.
    pub service: f64,
}

/// A row of requests in the order of their times.
///
/// ```
/// use bellwether::simulation::{Request, Workload};
/// let two = Workload::new("two", vec![
///     Request { at: 1.0, service: 0.1 },
///     Request { at: 0.5, service: 0.2 },
/// ]);
/// assert_eq!(two.requests()[0].at, 0.5);
/// assert_eq!(two.busy_seconds(), 0.1 + 0.2);
/// ```
#[derive(Clone, PartialEq)]
pub struct Workload {
    name: String,
    requests: Vec<Request>,
}

impl Workload {
    /// Takes requests in any order; those whose times are no numbers, or negative, are left out.
    #[must_use]
    pub fn new(name: impl Into<String>, mut requests: Vec<Request>) -> Self {
        let sane = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        requests.retain(|request| sane(request.at) && sane(request.service));
        requests.sort_by(|one, other| one.at.total_cmp(&other.at));
        Self { name: name.into(), requests }
    }

    /// Returns the name, for tables.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the requests, the first first.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Returns the seconds from the beginning to the last arrival.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.requests.last().map_or(0.0, |last| last.at)
    }

    /// Returns the sum of all services, in seconds.
    #[must_use]
    pub fn busy_seconds(&self) -> f64 {
        self.requests.iter().map(|request| request.service).sum()
    }

    /// Returns how many requests are served at once on average, if none has to wait (in Erlang).
    #[must_use]
    pub fn offered_load(&self) -> f64 {
        self.busy_seconds() / self.duration().max(1e-9)
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("name", &self.name)
            .field("requests", &self.requests.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_put_in_order_and_rubbish_is_left_out() {
        let times = [2.0, f64::NAN, 1.0, -1.0, f64::INFINITY];
        let requests = times.iter().map(|&at| Request { at, service: 0.5 }).collect();
        let workload = Workload::new("w", requests);
        let kept: Vec<_> = workload.requests().iter().map(|request| request.at).collect();
        assert_eq!(kept, [1.0, 2.0]);
        assert_eq!((workload.duration(), workload.offered_load()), (2.0, 0.5));
        assert_eq!(Workload::new("none", Vec::new()).duration(), 0.0);
    }
}
