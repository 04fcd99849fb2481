//! What tests share: seeded random, captured bytes, lossy links, a virtual clock.
