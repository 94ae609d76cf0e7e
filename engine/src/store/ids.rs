//! Ids that cannot be guessed.
use data_encoding::HEXLOWER;

/// `prefix` and `N` random octets in hexadecimal digits.
pub fn fresh_id<const N: usize>(prefix: &str) -> String {
    let mut random = [0; N];
    // Without it the process would not have started: ids of dialogs need the same.
    getrandom::fill(&mut random).expect("the system has random numbers");
    format!("{prefix}{}", HEXLOWER.encode(&random))
}
