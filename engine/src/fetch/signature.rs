//! The signature of what is posted: `t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 with the shared secret over `SECONDS.BODY`. Pure.
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The name of the header.
pub const SIGNATURE: &str = "Trunkline-Signature";

/// The value of the header. `seconds` since 1970 is when it is sent.
pub fn signature(secret: &[u8], seconds: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes any key");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    let digits = HEXLOWER.encode(&mac.finalize().into_bytes());
    format!("t={seconds},v1={digits}")
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn it_is_what_others_compute() {
        // printf '1763742724.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expected =
            "t=1763742724,v1=da42f5756951fd40b3e3a8a92e4e2064f40b90821e30c5be5c20855263720240";
        assert_eq!(signature(b"secret", 1_763_742_724, "{\"a\":1}"), expected);
    }
}
