//! What stages and matches open to whom. They answer first where somebody shows a pass, and for publishers of a stage's paths.

use super::passes::{Kind, Pass, Passes};
use super::rules::Allowed;
use super::{Action, Ask, Auth, Refusal, Rule, query_value};
use crate::sessions::{Ending, Protocol, Role, Session, Sessions};
use crate::stage::{Command, Done, Match, Member, Muting, Nonce, Stage, StageError, Stages, State};
use hub::BroadcastPath;
use std::sync::Arc;
use std::time::SystemTime;

/// Stages, and what they sign.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) stages: Stages,
    pub(super) passes: Passes,
}

/// A pass that was signed for somebody.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// The pass itself.
    pub(crate) token: String,
    pub(crate) expires: SystemTime,
    pub(crate) stage: Arc<Stage>,
    /// Whose it is.
    pub(crate) name: String,
}

/// Who looks at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Looker {
    /// The member of this name.
    Member(String),
    Audience,
}

impl Door {
    /// Decides if it is for stages to decide. `path` is the whole one.
    fn decide(&self, ask: &Ask, path: &BroadcastPath, now: SystemTime) -> Option<Result<Opened, StageError>> {
        let state = self.stages.now();
        match self.shown(ask) {
            Some(token) => Some(self.passes.read(token, now).and_then(|pass| opens(&state, ask, path, pass))),
            None if ask.action == Action::Publish && state.owner(path).is_some() => {
                Some(Err(StageError::Owned(path.clone())))
            }
            None => None,
        }
    }

    /// The pass that a request shows.
    fn shown<'a>(&self, ask: &'a Ask) -> Option<&'a str> {
        let shown = query_value(&ask.query, "token").or(ask.bearer.as_deref());
        shown.filter(|token| self.passes.is_meant(token))
    }
}

/// What a pass opened.
struct Opened {
    expires: SystemTime,
    who: Option<String>,
    muting: Muting,
}

fn opens(state: &State, ask: &Ask, path: &BroadcastPath, pass: Pass) -> Result<Opened, StageError> {
    let muting = match pass.kind {
        Kind::Invitation => return Err(StageError::NotAccepted),
        Kind::Match => {
            opens_match(state, ask, path, &pass)?;
            Muting::default()
        }
        Kind::Member => {
            let (stage, member) = member(state, &pass)?;
            match ask.action {
                Action::Publish => may_publish(member, path, ask.protocol)?,
                Action::Play => may_play(state, stage, path)?,
            }
            if !member.is_on_stage() {
                return Err(StageError::Away);
            }
            member.muting.clone()
        }
    };
    Ok(Opened { expires: pass.expires, who: Some(pass.name).filter(|name| !name.is_empty()), muting })
}

/// Who has a pass, as the stage is now.
fn member<'a>(state: &'a State, pass: &Pass) -> Result<(&'a Stage, &'a Member), StageError> {
    let stage = state.stage(&pass.path).ok_or(StageError::PassSpent)?;
    Ok((stage, stage.member_with(pass.nonce).ok_or(StageError::PassSpent)?))
}

fn may_publish(member: &Member, path: &BroadcastPath, protocol: Protocol) -> Result<(), StageError> {
    if member.path != *path {
        return Err(StageError::PassPath);
    }
    // Muting is done where its media is taken in.
    if protocol == Protocol::Whip { Ok(()) } else { Err(StageError::PassProtocol) }
}

/// All others of the stage, and whom it is matched with.
fn may_play(state: &State, stage: &Stage, path: &BroadcastPath) -> Result<(), StageError> {
    let own = stage.members.iter().any(|member| member.path == *path);
    let opposite =
        || state.match_of(&stage.path).and_then(|one| Some(state.pictures(one.other(&stage.path)?)));
    let matched = own || opposite().is_some_and(|pictures| pictures.contains(path));
    if matched { Ok(()) } else { Err(StageError::PassPath) }
}

fn opens_match(state: &State, ask: &Ask, path: &BroadcastPath, pass: &Pass) -> Result<(), StageError> {
    let found = state.match_of(&pass.path).filter(|found| u128::from(found.id) == pass.nonce.0);
    let found = found.ok_or(StageError::PassSpent)?;
    let other = found.other(&pass.path).ok_or(StageError::PassSpent)?;
    let shown = ask.action == Action::Play && state.pictures(other).contains(path);
    if shown { Ok(()) } else { Err(StageError::PassPath) }
}

impl Auth {
    /// The stages that it knows.
    pub(crate) fn stages(&self) -> &Stages {
        &self.door.stages
    }

    /// Decides if it is for stages to decide. What the configuration closes to everybody stays closed.
    pub(super) fn decide_on_stage(&self, ask: &Ask, now: SystemTime) -> Result<Option<Allowed>, Refusal> {
        if self.door.shown(ask).is_none() && self.door.stages.now().is_empty() {
            return Ok(None);
        }
        let (path, vhost) = self.rules.load().whole(ask)?;
        let Some(decided) = self.door.decide(ask, &path, now) else { return Ok(None) };
        let Opened { expires, who, muting } = decided?;
        Ok(Some(Allowed {
            path,
            vhost,
            // A member who comes back needn't wait until the connection that broke is given up.
            collision: hub::Collision::Takeover,
            rule: Rule::Stage,
            expires: Some(expires),
            who,
            muting,
        }))
    }

    /// Ends the sessions that no stage allows any more, and publishers who were where a stage is now.
    pub(crate) fn end_off_stage(&self) {
        let off = |session: &Arc<Session>| match session.rule {
            Rule::Stage => !matches!(self.decide_on_stage(&session.ask, session.began), Ok(Some(_))),
            Rule::Local => {
                session.role == Role::Publisher && self.door.stages.now().owner(&session.path).is_some()
            }
            Rule::Pull => false,
        };
        for session in self.sessions.list().iter().filter(|session| off(session)) {
            Sessions::end(session, Ending::Revoked);
        }
    }

    /// An invitation, as text.
    pub(crate) fn invitation(
        &self,
        path: &BroadcastPath,
        name: &str,
        nonce: Nonce,
        expires: SystemTime,
    ) -> Option<String> {
        let (path, name) = (path.clone(), name.to_owned());
        self.door.passes.sign(&Pass { kind: Kind::Invitation, path, name, nonce, expires })
    }

    /// Makes a member of who shows an invitation. `ask` names the stage; `pass` is random and new.
    pub(crate) async fn accept(
        &self,
        ask: &Ask,
        invitation: &str,
        (pass, expires): (Nonce, SystemTime),
    ) -> Result<Signed, Refusal> {
        let (path, _) = self.rules.load().whole(ask)?;
        let invited = self.door.passes.read(invitation, SystemTime::now())?;
        if invited.kind != Kind::Invitation || invited.path != path {
            return Err(StageError::PassPath.into());
        }
        let Pass { name, nonce, .. } = invited;
        let command = Command::Accept {
            path: path.clone(),
            name: name.clone(),
            invitation: nonce,
            pass,
            until: expires,
        };
        let stage = self.changed(command).await?;
        let signed = Pass { kind: Kind::Member, path, name: name.clone(), nonce: pass, expires };
        let token = self.door.passes.sign(&signed).ok_or(StageError::PassForged)?;
        Ok(Signed { token, expires, stage, name })
    }

    /// A member goes on the stage, or leaves it. `ask` names the stage and shows the pass.
    pub(crate) async fn step(&self, ask: &Ask, on_stage: bool) -> Result<(Arc<Stage>, String), Refusal> {
        let (path, _) = self.rules.load().whole(ask)?;
        let pass = self.pass(ask)?.ok_or(StageError::PassForged)?;
        if pass.kind != Kind::Member || pass.path != path {
            return Err(StageError::PassPath.into());
        }
        let stage = self.changed(Command::Step { path, pass: pass.nonce, on_stage }).await?;
        Ok((stage, pass.name))
    }

    /// Who looks at the stage or the match that `ask` names, if it may; and the whole path.
    pub(crate) async fn looks(&self, ask: &Ask) -> Result<(BroadcastPath, Looker), Refusal> {
        let (path, _) = self.rules.load().whole(ask)?;
        if let Some(pass) = self.pass(ask)?.filter(|pass| pass.kind == Kind::Member) {
            if pass.path != path {
                return Err(StageError::PassPath.into());
            }
            let state = self.door.stages.now();
            member(&state, &pass)?;
            return Ok((path, Looker::Member(pass.name)));
        }
        // Whoever may play what lies below the stage may see what that is.
        let below = self.door.stages.now().stage(&path).is_some();
        let wanted = if below { BroadcastPath::new(ask.path.as_str(), AUDIENCE)? } else { ask.path.clone() };
        self.play(Ask { path: wanted, ..ask.clone() }).await?;
        Ok((path, Looker::Audience))
    }

    /// What lets the audience of one side of a match see the other.
    pub(crate) fn match_pass(&self, found: &Match, audience: &BroadcastPath) -> Option<String> {
        self.door.passes.sign(&Pass {
            kind: Kind::Match,
            path: audience.clone(),
            name: String::new(),
            nonce: Nonce(u128::from(found.id)),
            expires: found.ends,
        })
    }

    fn pass(&self, ask: &Ask) -> Result<Option<Pass>, StageError> {
        self.door.shown(ask).map(|token| self.door.passes.read(token, SystemTime::now())).transpose()
    }

    async fn changed(&self, command: Command) -> Result<Arc<Stage>, StageError> {
        match self.door.stages.tell(command).await? {
            Done::Stage(stage) => Ok(stage),
            // No command of a stage is about a match.
            Done::Match(_) => Err(StageError::Closing),
        }
    }
}

/// A path below a stage that is no member's.
const AUDIENCE: &str = "stage";
