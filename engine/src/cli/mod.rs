//! The command line: run, call, check, bench.
