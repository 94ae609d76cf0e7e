//! The TOML configuration file: types, defaults, validation.
