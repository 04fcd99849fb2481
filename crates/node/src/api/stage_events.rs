//! What happened on stages, and which matches began and ended: what differs between two snapshots.

use crate::stage::{Match, Member, Stage, State};
use hub::BroadcastPath;
use std::sync::Arc;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OnStage {
    pub(super) kind: &'static str,
    pub(super) path: BroadcastPath,
    pub(super) member: Option<Arc<str>>,
    pub(super) opposite: Option<BroadcastPath>,
}

/// What happened between two moments. What began and ended in between is nobody's to see.
pub(super) fn differences(before: &State, after: &State) -> Vec<OnStage> {
    let mut all = Vec::new();
    for stage in after.stages() {
        let known = before.stage(&stage.path).filter(|known| known.began == stage.began);
        if known.is_none() {
            all.push(OnStage::of("stage.began", &stage.path));
        }
        let joined = on_stage(stage).filter(|name| !known.is_some_and(|known| is_on_stage(known, name)));
        all.extend(joined.map(|name| OnStage::member("stage.joined", stage, name)));
    }
    for stage in before.stages() {
        let goes_on = after.stage(&stage.path).filter(|now| now.began == stage.began);
        let left = on_stage(stage).filter(|name| !goes_on.is_some_and(|now| is_on_stage(now, name)));
        all.extend(left.map(|name| OnStage::member("stage.left", stage, name)));
        if goes_on.is_none() {
            all.push(OnStage::of("stage.ended", &stage.path));
        }
    }
    let has = |state: &State, id| state.matches().any(|found| found.id == id);
    let began = after.matches().filter(|found| !has(before, found.id));
    all.extend(began.map(|found| OnStage::matched("match.began", found)));
    let ended = before.matches().filter(|found| !has(after, found.id));
    all.extend(ended.map(|found| OnStage::matched("match.ended", found)));
    all
}

fn on_stage(stage: &Stage) -> impl Iterator<Item = &Arc<str>> {
    stage.members.iter().filter(|member| member.is_on_stage()).map(|member| &member.name)
}

fn is_on_stage(stage: &Stage, name: &str) -> bool {
    stage.member(name).is_some_and(Member::is_on_stage)
}

impl OnStage {
    fn of(kind: &'static str, path: &BroadcastPath) -> OnStage {
        OnStage { kind, path: path.clone(), member: None, opposite: None }
    }

    fn member(kind: &'static str, stage: &Stage, name: &Arc<str>) -> OnStage {
        OnStage { member: Some(Arc::clone(name)), ..OnStage::of(kind, &stage.path) }
    }

    fn matched(kind: &'static str, found: &Match) -> OnStage {
        let [one, other] = &found.between;
        OnStage { opposite: Some(other.clone()), ..OnStage::of(kind, one) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Command, Limits, Nonce};
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_began_joined_left_and_ended_is_told_once() {
        let limits = Limits { stages_max: 9, members_max: 9, matches_max: 9 };
        let path = |text: &str| BroadcastPath::parse(text).unwrap();
        let (now, later) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        let mut state = State::new(limits, 0);
        let mut told = |commands: Vec<Command>| {
            let before = state.clone();
            commands.into_iter().for_each(|command| drop(state.take(command, now).unwrap()));
            let all = differences(&before, &state);
            all.iter()
                .map(|what| (what.kind, what.member.as_deref().unwrap_or("").to_owned()))
                .collect::<Vec<_>>()
        };
        let (show, name) = (path("live/show"), "alice".to_owned());
        let opened = told(vec![
            Command::Open { path: show.clone(), title: String::new() },
            Command::Invite { path: show.clone(), name: name.clone(), invitation: Nonce(1), until: later },
        ]);
        assert_eq!(opened, [("stage.began", String::new())]);
        let accepted = told(vec![
            Command::Accept {
                path: show.clone(),
                name: name.clone(),
                invitation: Nonce(1),
                pass: Nonce(2),
                until: later,
            },
            Command::Match { between: [show.clone(), path("live/b")], ends: later },
        ]);
        assert_eq!(accepted, [("stage.joined", name.clone()), ("match.began", String::new())]);
        assert_eq!(told(Vec::new()), []);
        let ended = told(vec![Command::End { path: show }, Command::EndMatch { id: 1 }]);
        assert_eq!(
            ended,
            [("stage.left", name), ("stage.ended", String::new()), ("match.ended", String::new())]
        );
    }
}
