//! Signature Version 4 of Amazon Web Services for the header `Authorization`
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>). Pure: time is an argument. Paths and queries are taken as they are:
//! they must be encoded already, queries sorted.
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose signature, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The access key's id.
    pub access_key: &'a str,
    /// The region, as `eu-central-1`.
    pub region: &'a str,
    /// The service, as `polly`.
    pub service: &'a str,
    /// UTC, as `20150830T123600Z`.
    pub time: &'a str,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// From the first `/` on.
    pub path: &'a str,
    /// Behind the `?`.
    pub query: &'a str,
    /// Names in small letters, sorted; `host` and `x-amz-date` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// The value of `Authorization`.
pub fn authorization(scope: &Scope<'_>, secret: &str, signed: &Signed<'_>) -> String {
    let date = scope.time.get(..8).unwrap_or_default();
    let names = signed.headers.iter().map(|(name, _)| *name);
    let names = names.collect::<Vec<_>>().join(";");
    let headers = signed.headers.iter();
    let headers: String = headers
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let request = [
        signed.method,
        signed.path,
        signed.query,
        &headers,
        &names,
        &HEXLOWER.encode(&Sha256::digest(signed.body)),
    ]
    .join("\n");
    let within = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let request = HEXLOWER.encode(&Sha256::digest(request.as_bytes()));
    let text = [ALGORITHM, scope.time, &within, &request].join("\n");
    let key = signing_key(secret, date, scope);
    let signature = HEXLOWER.encode(&keyed(&key, text.as_bytes()));
    format!(
        "{ALGORITHM} Credential={}/{within}, SignedHeaders={names}, Signature={signature}",
        scope.access_key
    )
}

fn signing_key(secret: &str, date: &str, scope: &Scope<'_>) -> Vec<u8> {
    let first = format!("AWS4{secret}").into_bytes();
    let steps = [date, scope.region, scope.service, "aws4_request"];
    let step = |key: Vec<u8>, text: &str| keyed(&key, text.as_bytes());
    steps.into_iter().fold(first, step)
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn scope(service: &'static str) -> Scope<'static> {
        Scope {
            access_key: "AKIDEXAMPLE",
            region: "us-east-1",
            service,
            time: "20150830T123600Z",
        }
    }

    /// The vectors `get-vanilla` and `post-vanilla` of Amazon's test suite for Signature Version 4.
    #[test]
    fn the_test_suite_of_amazon() {
        let headers = [
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        for (method, signature) in [
            (
                "GET",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let signed = Signed {
                method,
                path: "/",
                query: "",
                headers: &headers,
                body: b"",
            };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            assert_eq!(authorization(&scope("service"), SECRET, &signed), expected);
        }
    }

    /// The example of the documentation: ListUsers of IAM, and its signing key.
    #[test]
    fn the_example_of_the_documentation() {
        let headers = [
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let signed = Signed {
            method: "GET",
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            headers: &headers,
            body: b"",
        };
        let value = authorization(&scope("iam"), SECRET, &signed);
        assert!(
            value.ends_with(
                "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
            ),
            "{value}"
        );
        let key = signing_key(SECRET, "20150830", &scope("iam"));
        assert_eq!(
            HEXLOWER.encode(&key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }
}
