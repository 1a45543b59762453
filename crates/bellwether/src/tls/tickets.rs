//! Session tickets that every handler of a pool understands.
//!
//! rustls' own `Ticketer` makes its keys at random, in each process others. Here the keys follow
//! from a secret that was made before the first fork and from the number of the epoch, which
//! every process reads from the same clock; so nobody need tell anybody anything.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use rustls::server::ProducesTickets;

use crate::sys::clock;
use crate::sys::secret::Secret;

/// How long tickets are made with one key, in seconds: as long as with that of rustls.
const EPOCH: u64 = 6 * 60 * 60;

/// How many epochs a ticket lasts beyond its own, so that its last day holds what was promised.
const EPOCHS_MORE: u64 = 2;

/// What clients are told, in seconds. What they bring later is still taken until the epochs are over.
const LIFETIME: u32 = 12 * 60 * 60;

const NAME: usize = 16;

/// Makes tickets, and reads those of all handlers.
///
/// A ticket is laid out as in RFC 5077, 4: the name of its key, a nonce, the sealed state. It is
/// sealed by AES-256-GCM-SIV (RFC 8452), which forgives what must not happen with nonces chosen at
/// random by many processes: the same one twice. Key and name are HKDF-Expand (RFC 5869) of the
/// secret and the epoch.
#[derive(Debug)]
pub(super) struct Tickets {
    secret: Secret,
}

impl Tickets {
    pub(super) const fn of(secret: Secret) -> Self {
        Self { secret }
    }

    fn seal(&self, state: &[u8], now: u64) -> Option<Vec<u8>> {
        let key = self.key(now / EPOCH)?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut sealed = state.to_vec();
        let aad = Aad::from(key.name);
        let nonce_once = Nonce::assume_unique_for_key(nonce);
        key.key.seal_in_place_append_tag(nonce_once, aad, &mut sealed).ok()?;
        Some([&key.name, &nonce[..], &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let key = self.key_by_name(name, now / EPOCH)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut state = sealed.to_vec();
        let length = key.key.open_in_place(nonce, Aad::from(key.name), &mut state).ok()?.len();
        state.truncate(length);
        Some(state)
    }

    /// Finds the key of a ticket that is not too old. The name is no secret: it stands in each ticket.
    fn key_by_name(&self, name: &[u8], epoch: u64) -> Option<Key> {
        let epochs = epoch.saturating_sub(EPOCHS_MORE)..=epoch;
        epochs.rev().filter_map(|epoch| self.key(epoch)).find(|key| key.name == name)
    }

    /// The key of an epoch: a few microseconds of a handshake's hundreds, so it is not kept.
    fn key(&self, epoch: u64) -> Option<Key> {
        let mut bytes = [0; NAME + KEY];
        let purpose = [&b"bellwether session ticket"[..], &epoch.to_be_bytes()];
        let secret = Prk::new_less_safe(HKDF_SHA256, self.secret.bytes());
        secret.expand(&purpose, Both).ok()?.fill(&mut bytes).ok()?;
        let (name, key) = bytes.split_first_chunk::<NAME>()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).ok()?);
        Some(Key { name: *name, key })
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, clock::now().as_secs())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, clock::now().as_secs())
    }
}

/// The key of one epoch, and what stands in its tickets to find it again.
struct Key {
    name: [u8; NAME],
    key: LessSafeKey,
}

const KEY: usize = 32;

/// The length of a name and a key together, as HKDF wants it told.
#[derive(Debug)]
struct Both;

impl KeyType for Both {
    fn len(&self) -> usize {
        NAME + KEY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &[u8] = b"the state of a session";
    const BORN: u64 = 1000 * EPOCH;

    #[test]
    fn a_ticket_is_understood_by_whoever_has_the_secret_for_its_time() {
        let secret = Secret::random().unwrap();
        let (one, other) = (Tickets::of(secret.clone()), Tickets::of(secret));
        let check = |born: u64, age: u64, expected: bool| {
            let ticket = one.seal(STATE, born).unwrap();
            let found = other.open(&ticket, born + age);
            assert_eq!(found.as_deref(), expected.then_some(STATE), "{born} {age}");
        };
        let (first, last) = (BORN, BORN + EPOCH - 1);
        check(first, 0, true);
        check(first, 18 * 3600 - 1, true);
        check(first, 18 * 3600, false);
        check(last, 12 * 3600, true);
        check(last, 12 * 3600 + 1, false);
        check(0, 0, true);
    }

    #[test]
    fn a_stranger_s_ticket_or_one_that_was_changed_is_not_taken() {
        let tickets = Tickets::of(Secret::random().unwrap());
        let stranger = Tickets::of(Secret::random().unwrap());
        let ticket = tickets.seal(STATE, BORN).unwrap();
        assert_eq!(stranger.open(&ticket, BORN), None);
        for place in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[place] ^= 1;
            assert_eq!(tickets.open(&changed, BORN), None, "byte {place}");
            assert_eq!(tickets.open(&ticket[..place], BORN), None, "cut at {place}");
        }
        assert_ne!(tickets.seal(STATE, BORN), tickets.seal(STATE, BORN));
    }

    #[test]
    fn each_epoch_has_a_key_and_a_name_of_its_own() {
        let tickets = Tickets::of(Secret::random().unwrap());
        let name = |time| tickets.seal(STATE, time).unwrap()[..NAME].to_vec();
        assert_eq!(name(BORN), name(BORN + EPOCH - 1));
        assert_ne!(name(BORN), name(BORN + EPOCH));
    }
}
