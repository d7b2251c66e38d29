//! Webhooks in: proves that a body is by who shares a secret with us, and that it is fresh.

use std::time::Duration;

use banyan_kernel::Timestamp;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::call::Secret;

/// An older body may be somebody's copy; a body of the future came by a wrong clock.
const TOLERANCE: Duration = Duration::from_secs(300);
/// One signature per secret of theirs while they rotate; more are not looked at.
const SIGNATURES_MAX: usize = 8;

/// The secrets that count; several while they are rotated, none where nobody is expected.
#[derive(Clone, Debug, Default)]
pub struct WebhookSecrets(Vec<Secret>);

/// Why a body is not believed. It says no more to whom it may be a riddle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// The header is missing, or not of its form.
    #[error("the signature is not of the form t=SECONDS,v1=HEX")]
    Form,
    /// Signed too long ago, or in the future.
    #[error("the signature is more than {} s from now", TOLERANCE.as_secs())]
    Stale,
    /// By nobody who knows a secret of ours.
    #[error("the signature is of another body or secret")]
    Signature,
}

impl WebhookSecrets {
    /// These; empty ones are nobody's.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.is_empty()).map(Secret::from).collect())
    }

    /// Checks a signature in Stripe's form, `t=SECONDS,v1=HEX`: the HMAC-SHA256 of `SECONDS.BODY`. Compares in constant time.
    ///
    /// # Errors
    /// When it does not prove who sent the body and when.
    pub fn check(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<(), Forged> {
        let parts = signature.unwrap_or_default().split(',').filter_map(|part| part.trim().split_once('='));
        let of = |name: &'static str| parts.clone().filter(move |part| part.0 == name).map(|part| part.1);
        let time = of("t").next().ok_or(Forged::Form)?;
        let seconds: i64 = time.parse().map_err(|_| Forged::Form)?;
        let signed: Vec<Vec<u8>> =
            of("v1").take(SIGNATURES_MAX).filter_map(|text| hex::decode(text).ok()).collect();
        if signed.is_empty() {
            return Err(Forged::Form);
        }
        if now.unix_timestamp().abs_diff(seconds) > TOLERANCE.as_secs() {
            return Err(Forged::Stale);
        }
        let proves = |secret: &Secret| signed.iter().any(|signed| is_of(secret, time, body, signed));
        if self.0.iter().any(proves) { Ok(()) } else { Err(Forged::Signature) }
    }
}

fn is_of(secret: &Secret, time: &str, body: &[u8], signed: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else { return false };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(signed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    /// `printf '1750000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_new`, and `whsec_old`.
    const NEW: &str = "4794015979b467ab02eef7b7eeec6d7ace5c3699df5e2acea3d99c7d0578c326";
    const OLD: &str = "623e7ef703bdc21af89fb5518a163727f09dad92640778f2379e4747af86d947";

    fn check(signature: Option<&str>, body: &[u8], seconds: i64) -> Result<(), Forged> {
        let secrets = ["whsec_new", "whsec_old", ""].map(str::to_owned);
        let now = Timestamp::from_unix_timestamp(seconds).expect("a time");
        WebhookSecrets::new(secrets).check(signature, body, now)
    }

    #[test]
    fn a_signature_is_of_one_body_one_secret_and_one_time() {
        let at = 1_750_000_000;
        let new = format!("t=1750000000,v1={NEW}");
        assert_eq!(check(Some(&new), BODY, at), Ok(()));
        assert_eq!(check(Some(&format!("t=1750000000,v1={OLD}")), BODY, at), Ok(()), "while they rotate");
        let both = format!("t=1750000000,v0=00,v1={},v1={NEW}", "00".repeat(32));
        assert_eq!(check(Some(&both), BODY, at), Ok(()), "while the other side rotates");
        assert_eq!(check(Some(&new), br#"{"id":"evt_2"}"#, at), Err(Forged::Signature));
        assert_eq!(check(Some(&format!("t=1750000001,v1={NEW}")), BODY, at), Err(Forged::Signature));
        assert_eq!(check(Some(&format!("t=1750000000,v1={}", &NEW[2..])), BODY, at), Err(Forged::Signature));
        assert_eq!(check(Some(&new), BODY, at + 300), Ok(()));
        assert_eq!(check(Some(&new), BODY, at + 301), Err(Forged::Stale));
        assert_eq!(check(Some(&new), BODY, at - 301), Err(Forged::Stale));
        let bad =
            ["", "t=,v1=", "t=1750000000", "v1=00", "t=x,v1=00", "t=1750000000,v1=xyz", "t=1750000000,v0=00"];
        for bad in bad {
            assert_eq!(check(Some(bad), BODY, at), Err(Forged::Form), "{bad}");
        }
        assert_eq!(check(None, BODY, at), Err(Forged::Form));
        let extremes = [i64::MIN, i64::MAX].map(|t| check(Some(&format!("t={t},v1={NEW}")), BODY, at));
        assert_eq!(extremes, [Err(Forged::Stale); 2]);
    }

    #[test]
    fn without_a_secret_nobody_is_believed() {
        let now = Timestamp::from_unix_timestamp(1_750_000_000).expect("a time");
        // The HMAC under the empty key.
        let none = "2ba3cb38fb8ac0cdebe2c64da6606be312b96f50bfcf9ba59f43b4049d67e47c";
        let signature = format!("t=1750000000,v1={none}");
        for secrets in [WebhookSecrets::default(), WebhookSecrets::new([String::new()])] {
            assert_eq!(secrets.check(Some(&signature), BODY, now), Err(Forged::Signature));
        }
        assert!(!format!("{:?}", WebhookSecrets::new(["whsec_new".to_owned()])).contains("whsec"));
    }
}
