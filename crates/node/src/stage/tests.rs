use super::one::TITLE_CHARS_MAX;
use super::*;
use hub::BroadcastPath;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const LIMITS: Limits = Limits { stages_max: 2, members_max: MEMBERS_MAX, matches_max: 1 };

fn path(text: &str) -> BroadcastPath {
    BroadcastPath::parse(text).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn open() -> State {
    let mut state = State::new(LIMITS, 0);
    state.take(Command::Open { path: path("live/show"), title: "Show".into() }, at(0)).unwrap();
    state
}

fn invite(state: &mut State, name: &str, number: u128) -> Result<Arc<Stage>, StageError> {
    let command = Command::Invite {
        path: path("live/show"),
        name: name.into(),
        invitation: Nonce(number),
        until: at(100),
    };
    stage(state.take(command, at(1)))
}

fn accept(state: &mut State, name: &str, number: u128, now: SystemTime) -> Result<Arc<Stage>, StageError> {
    let command = Command::Accept {
        path: path("live/show"),
        name: name.into(),
        invitation: Nonce(number),
        pass: Nonce(1000 + number),
        until: at(1000),
    };
    stage(state.take(command, now))
}

fn stage(done: Result<Done, StageError>) -> Result<Arc<Stage>, StageError> {
    match done? {
        Done::Stage(stage) => Ok(stage),
        Done::Match(found) => panic!("{found:?}"),
    }
}

/// Alice and Bob are on the stage.
fn two() -> State {
    let mut state = open();
    for (name, number) in [("alice", 1), ("bob", 2)] {
        invite(&mut state, name, number).unwrap();
        accept(&mut state, name, number, at(2)).unwrap();
    }
    state
}

fn shown(state: &State) -> Vec<String> {
    state.pictures(&path("live/show")).iter().map(ToString::to_string).collect()
}

#[test]
fn an_invitation_lets_one_member_in_once_and_not_after_its_time() {
    let mut state = open();
    let invited = invite(&mut state, "alice", 1).unwrap();
    assert!(invited.layout().is_empty(), "who is invited isn't shown");
    assert_eq!(accept(&mut state, "alice", 7, at(2)).err(), Some(StageError::InvitationSpent), "guessed");
    assert_eq!(accept(&mut state, "bob", 1, at(2)).err(), Some(StageError::InvitationSpent), "of another");
    let joined = accept(&mut state, "alice", 1, at(2)).unwrap();
    assert!(joined.version > invited.version && joined.members[0].has_pass(Nonce(1001)));
    assert_eq!(accept(&mut state, "alice", 1, at(3)).err(), Some(StageError::InvitationSpent), "used");
    assert_eq!(invite(&mut state, "alice", 3).err(), Some(StageError::MemberExists("alice".into())));
    invite(&mut state, "carol", 4).unwrap();
    invite(&mut state, "carol", 5).unwrap();
    assert_eq!(accept(&mut state, "carol", 4, at(2)).err(), Some(StageError::InvitationSpent), "replaced");
    assert_eq!(accept(&mut state, "carol", 5, at(100)).err(), Some(StageError::InvitationSpent), "too late");
    assert!(state.stage(&path("live/show")).unwrap().member("carol").is_none(), "its seat is free again");
}

#[test]
fn names_seats_and_stages_have_limits() {
    let mut state = open();
    for name in ["", "Alice", "a/b", "video", "whip", &"x".repeat(33)] {
        assert_eq!(invite(&mut state, name, 1).err(), Some(StageError::Name), "{name}");
    }
    for number in 0..MEMBERS_MAX {
        invite(&mut state, &format!("m{number}"), number as u128).unwrap();
    }
    assert_eq!(invite(&mut state, "one-more", 99).err(), Some(StageError::Full(MEMBERS_MAX)));
    state.expire(at(100));
    invite(&mut state, "one-more", 99).unwrap();
    let open = |state: &mut State, name: &str, title: String| {
        state.take(Command::Open { path: path(name), title }, at(0)).map(drop)
    };
    assert_eq!(open(&mut state, "live/show", String::new()), Err(StageError::StageExists(path("live/show"))));
    assert_eq!(open(&mut state, "live/b", "t".repeat(101)), Err(StageError::Title(TITLE_CHARS_MAX)));
    assert_eq!(open(&mut state, "live/b", String::new()), Ok(()));
    assert_eq!(open(&mut state, "live/c", String::new()), Err(StageError::TooManyStages(2)));
}

#[test]
fn who_leaves_keeps_the_seat_and_who_is_removed_has_nothing_any_more() {
    let mut state = two();
    let step = |state: &mut State, pass, on_stage| {
        stage(state.take(Command::Step { path: path("live/show"), pass, on_stage }, at(3)))
    };
    assert_eq!(shown(&state), ["live/show/alice", "live/show/bob"]);
    step(&mut state, Nonce(1001), false).unwrap();
    assert_eq!(shown(&state), ["live/show/bob"]);
    step(&mut state, Nonce(1001), true).unwrap();
    assert_eq!(shown(&state), ["live/show/alice", "live/show/bob"]);
    state.take(Command::Remove { path: path("live/show"), name: "alice".into() }, at(4)).unwrap();
    assert_eq!(step(&mut state, Nonce(1001), true).err(), Some(StageError::PassSpent));
    invite(&mut state, "alice", 9).unwrap();
    assert!(
        state.stage(&path("live/show")).unwrap().member_with(Nonce(1001)).is_none(),
        "of the first Alice"
    );
    state.expire(at(1000));
    assert!(state.stage(&path("live/show")).unwrap().members.is_empty(), "passes end, too");
}

#[test]
fn the_audience_is_shown_what_was_chosen_and_muting_reaches_who_takes_media_in() {
    let mut state = two();
    let choose = |state: &mut State, names: &[&str]| {
        let names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        state.take(Command::Choose { path: path("live/show"), names }, at(3)).map(drop)
    };
    choose(&mut state, &["bob", "alice", "bob"]).unwrap();
    assert_eq!(shown(&state), ["live/show/bob", "live/show/alice"]);
    assert_eq!(choose(&mut state, &["carol"]), Err(StageError::NoMember("carol".into())));
    choose(&mut state, &[]).unwrap();
    assert!(shown(&state).is_empty());
    let muting = state.stage(&path("live/show")).unwrap().members[0].muting.clone();
    let mute = |state: &mut State, audio, video| {
        let command = Command::Mute { path: path("live/show"), name: "alice".into(), audio, video };
        state.take(command, at(3)).unwrap();
    };
    mute(&mut state, Some(true), None);
    assert_eq!((muting.audio(), muting.video()), (true, false));
    mute(&mut state, None, Some(true));
    mute(&mut state, Some(false), None);
    assert_eq!((muting.audio(), muting.video()), (false, true));
}

#[test]
fn a_match_is_between_two_for_a_while_and_changes_what_readers_of_both_see() {
    let mut state = two();
    let version = |state: &State| state.stage(&path("live/show")).unwrap().version;
    let begin = |state: &mut State, a: &str, b: &str| {
        state.take(Command::Match { between: [path(a), path(b)], ends: at(60) }, at(5)).map(drop)
    };
    let before = version(&state);
    assert_eq!(begin(&mut state, "live/b", "live/b"), Err(StageError::SameBroadcast));
    begin(&mut state, "live/show", "live/b").unwrap();
    assert!(version(&state) > before);
    assert_eq!(begin(&mut state, "live/c", "live/b"), Err(StageError::InMatch(path("live/b"))));
    assert_eq!(begin(&mut state, "live/c", "live/d"), Err(StageError::TooManyMatches(1)));
    let found = state.match_of(&path("live/b")).unwrap();
    assert_eq!(found.other(&path("live/b")), Some(&path("live/show")));
    assert_eq!(state.next_end(), Some(at(60)));
    let before = version(&state);
    assert!(state.expire(at(60)) && version(&state) > before);
    assert!(state.match_of(&path("live/b")).is_none());
    assert_eq!(state.take(Command::EndMatch { id: 1 }, at(61)).map(drop), Err(StageError::NoMatch(1)));
}

#[test]
fn a_stage_owns_the_paths_below_it_and_knows_whose_media_comes() {
    let mut state = two();
    for (name, owned) in [("live/show/alice", true), ("live/show/anybody", true), ("live/show", false)] {
        assert_eq!(state.owner(&path(name)).is_some(), owned, "{name}");
    }
    assert!(state.owner(&path("live/show/alice/x")).is_none());
    let live = HashSet::from([path("live/show/bob"), path("live/other")]);
    assert!(state.note_publishing(&live) && !state.note_publishing(&live));
    assert_eq!(
        state.stage(&path("live/show")).unwrap().members.iter().map(|m| m.publishes).collect::<Vec<_>>(),
        [false, true]
    );
    state.take(Command::End { path: path("live/show") }, at(5)).unwrap();
    assert!(state.owner(&path("live/show/alice")).is_none() && state.is_empty());
    let again = state.take(Command::End { path: path("live/show") }, at(5)).map(drop);
    assert_eq!(again, Err(StageError::NoStage(path("live/show"))));
}
