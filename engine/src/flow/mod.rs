//! Flow v1: JSON or YAML call programs.
