//! HTTP face: health and metrics.
