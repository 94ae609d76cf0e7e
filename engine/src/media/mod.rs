//! Media shards: the hot loop, channels, prompts, players, recorders.
