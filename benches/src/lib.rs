//! Micro benches and the capacity rig of Trunkline.
