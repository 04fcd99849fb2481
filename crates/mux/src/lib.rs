//! Containers to frames and back: FLV, MPEG-TS, fMP4.
