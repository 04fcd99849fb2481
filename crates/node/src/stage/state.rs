//! All stages and matches, and the commands that change them.

use super::error::StageError;
use super::matches::Match;
use super::member::{Member, Nonce};
use super::one::Stage;
use hub::BroadcastPath;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

/// All stages and matches. Clones share what didn't change; each is bounded by [`Limits`].
#[derive(Clone, Debug)]
pub(crate) struct State {
    limits: Limits,
    stages: BTreeMap<BroadcastPath, Arc<Stage>>,
    matches: BTreeMap<u64, Arc<Match>>,
    /// The last version that was given away.
    version: u64,
    /// The last number of a match.
    last_match: u64,
}

/// How many there may be; beyond them a command is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) stages_max: usize,
    pub(crate) members_max: usize,
    pub(crate) matches_max: usize,
}

/// What shall change. Nonces are random and new.
#[derive(Debug)]
pub(crate) enum Command {
    Open {
        path: BroadcastPath,
        title: String,
    },
    End {
        path: BroadcastPath,
    },
    Invite {
        path: BroadcastPath,
        name: String,
        invitation: Nonce,
        until: SystemTime,
    },
    Accept {
        path: BroadcastPath,
        name: String,
        invitation: Nonce,
        pass: Nonce,
        until: SystemTime,
    },
    /// Who has the pass goes on the stage, or leaves it and keeps the seat.
    Step {
        path: BroadcastPath,
        pass: Nonce,
        on_stage: bool,
    },
    Mute {
        path: BroadcastPath,
        name: String,
        audio: Option<bool>,
        video: Option<bool>,
    },
    Remove {
        path: BroadcastPath,
        name: String,
    },
    Choose {
        path: BroadcastPath,
        names: Option<Vec<String>>,
    },
    Match {
        between: [BroadcastPath; 2],
        ends: SystemTime,
    },
    EndMatch {
        id: u64,
    },
}

/// What it is about, as it is afterwards; what ended, as it was.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    Stage(Arc<Stage>),
    Match(Arc<Match>),
}

impl Command {
    /// Whether somebody may not go on afterwards.
    pub(super) fn may_revoke(&self) -> bool {
        match self {
            Command::Open { .. }
            | Command::End { .. }
            | Command::Step { .. }
            | Command::Remove { .. }
            | Command::Choose { .. }
            | Command::EndMatch { .. } => true,
            Command::Invite { .. }
            | Command::Accept { .. }
            | Command::Mute { .. }
            | Command::Match { .. } => false,
        }
    }
}

impl State {
    /// None yet. Versions begin behind `before`, so that those of an earlier process are told from these.
    pub(crate) fn new(limits: Limits, before: u64) -> State {
        State { limits, stages: BTreeMap::new(), matches: BTreeMap::new(), version: before, last_match: 0 }
    }

    /// Whether there is neither a stage nor a match.
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.matches.is_empty()
    }

    pub(crate) fn stages(&self) -> impl Iterator<Item = &Arc<Stage>> {
        self.stages.values()
    }

    pub(crate) fn stage(&self, path: &BroadcastPath) -> Option<&Arc<Stage>> {
        self.stages.get(path)
    }

    pub(crate) fn matches(&self) -> impl Iterator<Item = &Arc<Match>> {
        self.matches.values()
    }

    pub(crate) fn match_of(&self, path: &BroadcastPath) -> Option<&Arc<Match>> {
        self.matches.values().find(|one| one.other(path).is_some())
    }

    /// The stage whose members publish at paths such as this.
    pub(crate) fn owner(&self, path: &BroadcastPath) -> Option<&Arc<Stage>> {
        let (above, _) = path.as_str().rsplit_once('/')?;
        self.stages.values().find(|stage| stage.path.as_str() == above)
    }

    /// What is shown of a stage or a broadcast: its layout, or itself.
    pub(crate) fn pictures(&self, path: &BroadcastPath) -> Vec<BroadcastPath> {
        match self.stages.get(path) {
            Some(stage) => stage.layout().iter().map(|member| member.path.clone()).collect(),
            None => vec![path.clone()],
        }
    }

    /// Changes what is wanted, or nothing.
    ///
    /// # Errors
    /// When it can't be; the text says why.
    pub(crate) fn take(&mut self, command: Command, now: SystemTime) -> Result<Done, StageError> {
        self.expire(now);
        match command {
            Command::Open { path, title } => self.open(path, title, now),
            Command::End { path } => {
                let ended = self.stages.remove(&path);
                ended.map(Done::Stage).ok_or(StageError::NoStage(path))
            }
            Command::Match { between, ends } => self.begin_match(between, now, ends),
            Command::EndMatch { id } => {
                let ended = self.matches.remove(&id).ok_or(StageError::NoMatch(id))?;
                self.touch(&ended.between);
                Ok(Done::Match(ended))
            }
            Command::Invite { path, name, invitation, until } => {
                let seats = self.limits.members_max;
                self.change(&path, |stage| stage.invite(&name, (invitation, until), seats))
            }
            Command::Accept { path, name, invitation, pass, until } => self.change(&path, |stage| {
                let member = stage.named(&name).map_err(|_| StageError::InvitationSpent)?;
                member.accept(invitation, pass, until)
            }),
            Command::Step { path, pass, on_stage } => self.change(&path, |stage| {
                let member = stage.members.iter_mut().find(|member| member.has_pass(pass));
                member.ok_or(StageError::PassSpent)?.set_on_stage(on_stage);
                Ok(())
            }),
            Command::Mute { path, name, audio, video } => self.change(&path, |stage| {
                stage.named(&name)?.muting.set(audio, video);
                Ok(())
            }),
            Command::Remove { path, name } => self.change(&path, |stage| stage.remove(&name)),
            Command::Choose { path, names } => self.change(&path, |stage| stage.choose(names)),
        }
    }

    /// Ends what is over; true if that changed anything.
    pub(crate) fn expire(&mut self, now: SystemTime) -> bool {
        let over: Vec<u64> = self.matches.values().filter(|one| one.ends <= now).map(|one| one.id).collect();
        let mut changed = !over.is_empty();
        for ended in over.iter().filter_map(|id| self.matches.remove(id)).collect::<Vec<_>>() {
            self.touch(&ended.between);
        }
        for stage in self.stages.values_mut() {
            if stage.members.iter().any(|member| member.until() <= now)
                && Arc::make_mut(stage).forget_expired(now)
            {
                self.version += 1;
                Arc::make_mut(stage).version = self.version;
                changed = true;
            }
        }
        changed
    }

    /// When something is over next.
    pub(crate) fn next_end(&self) -> Option<SystemTime> {
        let members = self.stages.values().flat_map(|stage| stage.members.iter().map(Member::until));
        members.chain(self.matches.values().map(|one| one.ends)).min()
    }

    /// Notes which members' media comes; true if that changed.
    pub(crate) fn note_publishing(&mut self, live: &HashSet<BroadcastPath>) -> bool {
        let mut changed = false;
        for stage in self.stages.values_mut() {
            if stage.members.iter().any(|member| member.publishes != live.contains(&member.path)) {
                let stage = Arc::make_mut(stage);
                stage.note_publishing(live);
                self.version += 1;
                stage.version = self.version;
                changed = true;
            }
        }
        changed
    }

    fn open(&mut self, path: BroadcastPath, title: String, now: SystemTime) -> Result<Done, StageError> {
        if self.stages.contains_key(&path) {
            return Err(StageError::StageExists(path));
        }
        if self.stages.len() >= self.limits.stages_max {
            return Err(StageError::TooManyStages(self.limits.stages_max));
        }
        let mut stage = Stage::new(path.clone(), title, now)?;
        self.version += 1;
        stage.version = self.version;
        let stage = Arc::new(stage);
        self.stages.insert(path, Arc::clone(&stage));
        Ok(Done::Stage(stage))
    }

    fn begin_match(
        &mut self,
        between: [BroadcastPath; 2],
        now: SystemTime,
        ends: SystemTime,
    ) -> Result<Done, StageError> {
        if between[0] == between[1] {
            return Err(StageError::SameBroadcast);
        }
        if let Some(busy) = between.iter().find(|path| self.match_of(path).is_some()) {
            return Err(StageError::InMatch(busy.clone()));
        }
        if self.matches.len() >= self.limits.matches_max {
            return Err(StageError::TooManyMatches(self.limits.matches_max));
        }
        (self.version, self.last_match) = (self.version + 1, self.last_match + 1);
        let begun = Arc::new(Match { id: self.last_match, between, began: now, ends, version: self.version });
        self.matches.insert(begun.id, Arc::clone(&begun));
        self.touch(&begun.between);
        Ok(Done::Match(begun))
    }

    /// Readers of these stages have something new to see.
    fn touch(&mut self, paths: &[BroadcastPath]) {
        for path in paths {
            if let Some(stage) = self.stages.get_mut(path) {
                self.version += 1;
                Arc::make_mut(stage).version = self.version;
            }
        }
    }

    /// Changes a copy of a stage, which takes its place if that went well.
    fn change(
        &mut self,
        path: &BroadcastPath,
        change: impl FnOnce(&mut Stage) -> Result<(), StageError>,
    ) -> Result<Done, StageError> {
        let stage = self.stages.get_mut(path).ok_or_else(|| StageError::NoStage(path.clone()))?;
        let mut changed = Stage::clone(stage);
        change(&mut changed)?;
        self.version += 1;
        changed.version = self.version;
        *stage = Arc::new(changed);
        Ok(Done::Stage(Arc::clone(stage)))
    }
}
