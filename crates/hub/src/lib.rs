//! In-process fan-out of frames: broadcasts, tracks, groups.
