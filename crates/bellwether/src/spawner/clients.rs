//! The clients of the control socket: let in, watched, heard.

use super::Spawner;
use super::control::Heard;
use super::event::Source;
use crate::sys::clock;
use crate::sys::poller::Interest;

impl Spawner {
    pub(super) fn admit_client(&mut self) {
        if let Some((number, stream)) = self.control.admit(clock::now()) {
            let token = Source::Client(number).token();
            // A client that cannot be watched runs into its deadline.
            let _ = self.poller.add(stream, token, Interest::Read);
        }
        if self.control.shut_until.is_some() {
            self.watch_control();
        }
    }

    /// Hears who knocks, unless the door is shut.
    pub(super) fn watch_control(&self) {
        let interest =
            if self.control.shut_until.is_some() { Interest::HangUp } else { Interest::Read };
        let _ = self.poller.change(&self.control.socket, Source::Control.token(), interest);
    }

    pub(super) fn hear_client(&mut self, number: usize, hung_up: bool) {
        match self.control.listen(number, hung_up) {
            Heard::Command(command, may) => self.obey(number, command, may),
            Heard::Gone => self.forget_wishes_of(number),
            Heard::Nothing => {}
        }
        self.watch_client(number);
    }

    pub(super) fn watch_client(&self, number: usize) {
        if let Some((stream, interest)) = self.control.watched(number) {
            let _ = self.poller.change(stream, Source::Client(number).token(), interest);
        }
    }
}
