//! Answers that are right, wrong, and none at all.

use super::*;
use testkit::Random;

const OPAQUE: &str = "c2FsdHkxMTIyMzM0NDU1NjY3";

fn answer(password: &str) -> Answer {
    let challenge = Challenge::new(OPAQUE).unwrap();
    let offer = Refusal::Answer { user: "alice", challenge }.description();
    let query = client_query(&offer, "alice", password, "0badcafe").unwrap();
    match Login::parse(&query[1..]) {
        Login::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_right_password_is_proven() {
    assert!(answer("correct-horse").proves("correct-horse"));
    assert!(!answer("correct-horsf").proves("correct-horse"));
    assert!(!answer("").proves("correct-horse"));
    let stolen = Answer { user: "bob".to_owned(), ..answer("correct-horse") };
    assert!(!stolen.proves("correct-horse"));
    let moved = Answer { opaque: OPAQUE.replace('k', "j"), ..answer("correct-horse") };
    assert!(!moved.proves("correct-horse"));
}

/// The same from outside: printf %s … | openssl md5 -binary | base64.
#[test]
fn the_response_is_what_openssl_makes_of_it() {
    assert_eq!(hash(&["alice", "c2FsdHkx", "correct-horse"]), "tFk36cyImh+LTagXEqTzrQ==");
    assert_eq!(response("alice", "correct-horse", OPAQUE, "0badcafe"), "tJoWj6NFqooPISA5clAqrQ==");
}

#[test]
fn what_clients_say_is_told_apart() {
    let user = Login::User("alice".to_owned());
    assert_eq!(Login::parse("authmod=adobe&user=alice"), user);
    assert_eq!(Login::parse("a=b&user=alice&authmod=adobe"), user);
    assert_eq!(Login::parse(&format!("authmod=adobe&user=alice&opaque={OPAQUE}")), user);
    assert_eq!(Login::parse("authmod=adobe&user=alice&challenge=a&response=b&opaque=short"), user);
    for silent in ["", "key=k", "authmod=adobe", "authmod=adobe&user=", "authmod=llnw&user=a", "user=a"] {
        assert_eq!(Login::parse(silent), Login::Silent, "{silent}");
    }
    assert_eq!(Login::parse(&format!("authmod=adobe&user={}", "a".repeat(65))), Login::Silent);
    assert_eq!(Login::parse("authmod=adobe&user=a b"), Login::Silent);
    // librtmp's own challenge is base64, so an = stands in the value.
    let query = format!("authmod=adobe&user=a&challenge=ab/+cd==&response=xy==&opaque={OPAQUE}");
    let Login::Answer(answer) = Login::parse(&query) else { panic!() };
    assert_eq!((answer.challenge.as_str(), answer.response.as_str()), ("ab/+cd==", "xy=="));
}

#[test]
fn the_longest_refusal_fits_into_what_ffmpeg_reads() {
    let (user, opaque) = ("u".repeat(USER_BYTES_MAX), "o".repeat(28));
    let challenge = Challenge::new(&opaque).unwrap();
    assert!(Refusal::Answer { user: &user, challenge }.description().len() < 256);
}

#[test]
fn others_get_a_query_without_the_answer() {
    let query = format!("vhost=tv&authmod=adobe&user=a&challenge=c&response=r&opaque={OPAQUE}");
    assert_eq!(without_answer(&query), "vhost=tv&authmod=adobe&user=a");
    assert_eq!(without_answer("challenge=mine"), "challenge=mine");
}

#[test]
fn fuzz_queries_of_apps() {
    let words = ["authmod", "adobe", "user", "alice", "opaque", "challenge", "response", OPAQUE];
    let marks = ["=", "&", "==", "?", "é", "\0", "%"];
    for seed in 0..4000 {
        let mut random = Random::seeded(seed);
        let mut query = String::new();
        for _ in 0..random.below(24) {
            query += words[random.below(words.len())];
            query += marks[random.below(marks.len())];
        }
        let kept = without_answer(&query);
        assert!(kept.len() <= query.len());
        match Login::parse(&query) {
            Login::Answer(answer) => {
                assert!(is_user(answer.user()) && Challenge::new(answer.opaque()).is_some());
                assert!(!answer.proves("password") && !kept.contains("response="));
            }
            Login::User(user) => assert!(is_user(&user)),
            Login::Silent => assert_eq!(kept, query),
        }
    }
}
