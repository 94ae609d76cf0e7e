//! Signed addresses of recordings: whoever has one may hear that recording until it expires, without a token.
//!
//! The signature is HMAC-SHA256 over the id and the expiry, in hexadecimal digits, compared in constant time. The key is minted at first
//! use and never leaves the store.
use super::Store;
use super::error::{Cause, StoreError};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

/// Where the key is.
const SPACE: &str = "keys";
const KEY: &str = "recording-addresses";

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressRefused {
    /// The signature is not ours, or not of this.
    Signature,
    /// It was ours, and its time is over.
    Expired,
}

/// Signs and verifies.
#[derive(Clone)]
pub struct RecordingSigner {
    key: [u8; 32],
}

impl std::fmt::Debug for RecordingSigner {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("RecordingSigner")
    }
}

impl RecordingSigner {
    /// With a key of its own.
    pub fn new(key: [u8; 32]) -> RecordingSigner {
        RecordingSigner { key }
    }

    /// The signature of `id` until `expires`, in seconds since 1970.
    pub fn sign(&self, id: &str, expires: u64) -> String {
        HEXLOWER.encode(&self.mac(id, expires).finalize().into_bytes())
    }

    /// The path with its query: `/recordings/r-…?expires=…&signature=…`.
    pub fn address(&self, id: &str, expires: u64) -> String {
        let signature = self.sign(id, expires);
        format!("/recordings/{id}?expires={expires}&signature={signature}")
    }

    /// Whether `signature` lets `id` be heard at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`AddressRefused`].
    pub fn verify(
        &self,
        id: &str,
        expires: u64,
        signature: &str,
        now: u64,
    ) -> Result<(), AddressRefused> {
        let digits = signature.as_bytes();
        let signature = HEXLOWER_PERMISSIVE
            .decode(digits)
            .map_err(|_| AddressRefused::Signature)?;
        let verified = self.mac(id, expires).verify_slice(&signature);
        verified.map_err(|_| AddressRefused::Signature)?;
        if now >= expires {
            return Err(AddressRefused::Expired);
        }
        Ok(())
    }

    fn mac(&self, id: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes any key");
        mac.update(b"recording\n");
        mac.update(id.as_bytes());
        mac.update(format!("\n{expires}").as_bytes());
        mac
    }
}

impl Store {
    /// The signer of this store; mints its key if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recording_signer(&self) -> Result<RecordingSigner, StoreError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .map_err(|error| StoreError::new(Cause::Defect, error.to_string()))?;
        let fresh = json!(HEXLOWER.encode(&key));
        let old = self.put_document_if_new(SPACE, KEY, &fresh, None).await?;
        let kept = old.map_or(fresh, |document| document.body);
        let kept = kept
            .as_str()
            .and_then(|digits| HEXLOWER.decode(digits.as_bytes()).ok());
        let key = kept.and_then(|octets| octets.try_into().ok());
        let odd = || StoreError::new(Cause::Corrupt, format!("{KEY} is no key"));
        key.map(RecordingSigner::new).ok_or_else(odd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_good_for_its_recording_until_it_expires() {
        let signer = RecordingSigner::new([7; 32]);
        let signature = signer.sign("r-1", 100);
        assert_eq!(signature.len(), 64);
        assert_eq!(signer.verify("r-1", 100, &signature, 99), Ok(()));
        assert_eq!(
            signer.verify("r-1", 100, &signature, 100),
            Err(AddressRefused::Expired)
        );
        for (id, expires, signature) in [
            ("r-2", 100, signature.as_str()),
            ("r-1", 101, &signature),
            ("r-1", 100, &signature[2..]),
            ("r-1", 100, ""),
            ("r-1", 100, "é"),
        ] {
            let refused = signer.verify(id, expires, signature, 0);
            assert_eq!(
                refused,
                Err(AddressRefused::Signature),
                "{id} {expires} {signature}"
            );
        }
        let other = RecordingSigner::new([8; 32]);
        assert!(other.verify("r-1", 100, &signature, 0).is_err());
    }

    #[tokio::test]
    async fn the_key_is_minted_once() {
        let store = Store::in_memory().unwrap();
        let (first, second) = (
            store.recording_signer().await.unwrap(),
            store.recording_signer().await.unwrap(),
        );
        assert_eq!(first.key, second.key);
        let other = Store::in_memory()
            .unwrap()
            .recording_signer()
            .await
            .unwrap();
        assert_ne!(first.key, other.key);
    }
}
