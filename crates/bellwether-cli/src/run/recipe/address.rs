//! Where a program's own arguments say that it listens, in the form that `--listen` takes.

use std::ffi::OsString;

use super::Naming;
use super::find::Found;
use super::flag::{any_at, last_value};

impl Found<'_> {
    /// The address that the program's own arguments name, or its default; the first of several.
    #[cfg(test)]
    pub(crate) fn address(&self) -> Option<String> {
        self.addresses().into_iter().next()
    }

    /// All addresses that the program's own arguments name, or else its default.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let (naming, arguments) = (&self.recipe.address, self.arguments());
        // Behind `--` are another program's arguments, as of start_server.
        let own = arguments.split(|it| it == "--").next().unwrap_or_default();
        let said = [own, arguments].into_iter().map(|them| naming.said(them));
        let said = said.into_iter().find(|it| !it.is_empty());
        said.unwrap_or_else(|| naming.default.iter().cloned().collect())
    }
}

impl Naming {
    /// What these arguments say.
    fn said(&self, arguments: &[OsString]) -> Vec<String> {
        if let Some(path) = last_value(&self.path, arguments) {
            return vec![format!("unix:{path}")];
        }
        let met = (0..arguments.len()).filter_map(|at| any_at(&self.bind, arguments, at)?.value);
        let whole: Vec<_> = met.flat_map(|it| self.each(&it)).collect();
        if !whole.is_empty() {
            return whole;
        }
        let host = last_value(&self.host, arguments);
        let word = self.word_at(arguments).map(|at| arguments[at].to_string_lossy().into_owned());
        if let Some(whole) = word.as_ref().filter(|it| it.contains(':')) {
            return self.each(whole);
        }
        let port = last_value(&self.port, arguments).or(word);
        if host.is_none() && port.is_none() {
            return Vec::new();
        }
        if let Some(path) = host.as_deref().and_then(unix) {
            return vec![path];
        }
        let (usual_host, usual_port) = self.usual();
        let port = port.unwrap_or(usual_port);
        let host = host.unwrap_or(usual_host);
        if port.is_empty() { Vec::new() } else { vec![socket(&host, &port)] }
    }

    /// The host and the port of the default.
    fn usual(&self) -> (String, String) {
        let whole = self.default.as_deref().unwrap_or_default();
        let (host, port) = whole.rsplit_once(':').unwrap_or_default();
        (host.into(), port.into())
    }

    /// The addresses in the value of a flag; there may be several, with commas.
    fn each(&self, value: &str) -> Vec<String> {
        value.split([',', ' ']).filter(|it| !it.is_empty()).filter_map(|it| self.one(it)).collect()
    }

    /// An address as programs write it: `unix:/x`, `/x`, `0.0.0.0:80`, `:80`, `80`, `localhost`.
    fn one(&self, text: &str) -> Option<String> {
        if let Some(path) = unix(text) {
            return Some(path);
        }
        if text.starts_with("fd:") {
            return None;
        }
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let text = text.split(['/', '?']).next().unwrap_or_default();
        let (usual_host, usual_port) = self.usual();
        match text.rsplit_once(':') {
            Some((host, port)) if is_port(port) && !ends_within(host) => Some(socket(host, port)),
            None if is_port(text) => Some(socket(&usual_host, text)),
            _ if text.is_empty() || usual_port.is_empty() => None,
            _ => Some(socket(text, &usual_port)),
        }
    }

    /// Where an argument stands that is no flag, but an address.
    pub(crate) fn word_at(&self, arguments: &[OsString]) -> Option<usize> {
        let mut at = if self.word { 0 } else { arguments.len() };
        while let Some(argument) = arguments.get(at) {
            if let Some(met) = any_at(self.flags().chain(&self.values), arguments, at) {
                at = met.range.end;
            } else if argument.to_str().is_some_and(is_socket) {
                return Some(at);
            } else {
                at += 1;
            }
        }
        None
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// Tells whether this is the beginning of an IPv6 address without its end: `[::1` or `::`.
fn ends_within(host: &str) -> bool {
    host.starts_with('[') != host.ends_with(']') || host.contains(':') && !host.starts_with('[')
}

fn is_socket(text: &str) -> bool {
    is_port(text)
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            is_port(port) && !host.contains(['/', '=']) && !text.starts_with('-')
        })
}

/// The address of a Unix socket, if it is one; what programs write behind `?` is their own.
fn unix(text: &str) -> Option<String> {
    let text = text.split('?').next()?;
    let path = text.strip_prefix("unix:").map(|it| it.strip_prefix("//").unwrap_or(it));
    path.or_else(|| text.starts_with('/').then_some(text)).map(|path| format!("unix:{path}"))
}

/// A host and a port in one, an IPv6 address between brackets.
fn socket(host: &str, port: &str) -> String {
    match host {
        "" | "*" => format!(":{port}"),
        _ if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}
