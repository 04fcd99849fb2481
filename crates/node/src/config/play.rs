//! Playing.

use serde::{Deserialize, Serialize};

/// Who may play.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Play {
    /// Who may play: `"anyone"`, `"credential"` (whoever has a token or a signed URL for it) or `"nobody"`. A webhook for
    /// `play` is asked in any case.
    pub access: Access,
}

/// Who may do a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    #[default]
    Anyone,
    /// Who has a key, token or signed URL.
    Credential,
    /// No one.
    Nobody,
}
