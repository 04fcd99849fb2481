//! Why sessions end.

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloseReason {
    /// The peer closed the connection.
    Left,
    /// The broadcast is over.
    Ended,
    /// It took no byte for too long.
    Stalled,
    /// It fell behind by more than the byte budget.
    TooSlow,
    /// The server shuts down.
    Shutdown,
    /// An operator ended it.
    Kicked,
    /// Its grant ran out.
    Expired,
    /// The rule that allowed it is gone.
    Revoked,
    /// Another publisher took the seat.
    Superseded,
    /// A publisher that sent nothing for too long.
    Idle,
    /// The peer broke the protocol.
    Broken,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [CloseReason; 11] = [
        CloseReason::Left,
        CloseReason::Ended,
        CloseReason::Stalled,
        CloseReason::TooSlow,
        CloseReason::Shutdown,
        CloseReason::Kicked,
        CloseReason::Expired,
        CloseReason::Revoked,
        CloseReason::Superseded,
        CloseReason::Idle,
        CloseReason::Broken,
    ];

    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CloseReason::Left => "left",
            CloseReason::Ended => "broadcast ended",
            CloseReason::Stalled => "stopped reading",
            CloseReason::TooSlow => "too slow for the byte budget",
            CloseReason::Shutdown => "server shuts down",
            CloseReason::Kicked => "ended by an operator",
            CloseReason::Expired => "its grant ran out",
            CloseReason::Revoked => "the rule that allowed it is gone",
            CloseReason::Superseded => "another publisher took over",
            CloseReason::Idle => "nothing came for too long",
            CloseReason::Broken => "the peer broke the protocol",
        }
    }

    /// In labels.
    pub(crate) fn label(self) -> &'static str {
        match self {
            CloseReason::Left => "left",
            CloseReason::Ended => "ended",
            CloseReason::Stalled => "stalled",
            CloseReason::TooSlow => "too_slow",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Kicked => "kicked",
            CloseReason::Expired => "expired",
            CloseReason::Revoked => "revoked",
            CloseReason::Superseded => "superseded",
            CloseReason::Idle => "idle",
            CloseReason::Broken => "broken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_the_order_of_their_numbers() {
        assert!(CloseReason::ALL.into_iter().enumerate().all(|(n, reason)| reason as usize == n));
    }
}
