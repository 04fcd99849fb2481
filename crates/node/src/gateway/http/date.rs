//! `Date`, which changes once a second and is sent with every answer. RFC 9110 §6.6.1.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    /// The second that was written last, and as what.
    static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Writes a moment, as HTTP does.
pub(super) fn push_date(out: &mut String, now: SystemTime) {
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second {
            (*last, *text) = (second, httpdate::fmt_http_date(now.max(UNIX_EPOCH)));
        }
        out.push_str(text);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_date_goes_with_the_clock_and_back() {
        let check = |seconds: u64, expect: &str| {
            let mut out = String::new();
            push_date(&mut out, UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 999));
            assert_eq!(out, expect);
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT");
        check(784_111_776, "Sun, 06 Nov 1994 08:49:36 GMT");
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
