//! Frames to HLS and LL-HLS segments, parts and playlists.
