//! Users who publish by name and password.

use super::auth::check_name;
use crate::auth::pattern::Pattern;
use serde::{Deserialize, Serialize};

/// A user who publishes by name and password, for encoders that ask for these (RTMP `authmod=adobe`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishUser {
    /// The user's name: letters, digits, `-` and `_`.
    pub name: String,
    /// The password, at least 8 bytes. It stands here readable, because the protocol needs the password itself and not a hash of it:
    /// let only the server's user read the file.
    pub password: String,
    /// The paths that the user may publish, such as `"live/alice"`, `"live/*"` or `"live/**"`; a vhost other than the default one
    /// stands first.
    pub path: Pattern,
}

/// What the protocol lets a listener guess at is at least not short.
const PASSWORD_BYTES_MIN: usize = 8;

/// What a type alone can't say about users.
pub(super) fn check(users: &[PublishUser]) -> Result<(), String> {
    for (at, user) in users.iter().enumerate() {
        let twice = users[..at].iter().any(|other| other.name == user.name);
        let checked = check_name("name", &user.name, twice).and_then(|()| {
            if user.password.len() < PASSWORD_BYTES_MIN {
                return Err(format!("password must have at least {PASSWORD_BYTES_MIN} bytes"));
            }
            Ok(())
        });
        checked.map_err(|e| format!("publish.user, number {}: {e}", at + 1))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[track_caller]
    fn check(toml: &str, expect: Option<&str>) {
        let error = toml::from_str::<Config>(toml).expect("TOML").check().err();
        assert_eq!(error.as_deref(), expect);
    }

    #[test]
    fn users_need_a_plain_name_of_their_own_and_a_password() {
        let alice = "[[publish.user]]\nname='alice'\npassword='12345678'\npath='live/*'\n";
        check(alice, None);
        check(&format!("{alice}{alice}"), Some("publish.user, number 2: name \"alice\" stands twice"));
        check(
            &alice.replace("12345678", "1234567"),
            Some("publish.user, number 1: password must have at least 8 bytes"),
        );
        check(
            &alice.replace("alice", "a b"),
            Some("publish.user, number 1: name is \"a b\"; it must be 1 to 64 letters, digits, - or _"),
        );
    }
}
