//! One stage: its members, and what the audience is shown of it.

use super::error::StageError;
use super::member::{Member, Nonce};
use hub::BroadcastPath;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

/// One stage. Its members publish below its path.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) path: BroadcastPath,
    pub(crate) title: String,
    pub(crate) began: SystemTime,
    /// Another one after every change, and never again the same in one process.
    pub(crate) version: u64,
    /// In the order in which they were invited.
    pub(crate) members: Vec<Member>,
    /// What was chosen for the audience; `None`: everybody who is on the stage.
    pub(crate) chosen: Option<Vec<Arc<str>>>,
}

/// A title is a line on a page.
pub(crate) const TITLE_CHARS_MAX: usize = 100;

impl Stage {
    pub(super) fn new(path: BroadcastPath, title: String, now: SystemTime) -> Result<Stage, StageError> {
        if title.chars().count() > TITLE_CHARS_MAX {
            return Err(StageError::Title(TITLE_CHARS_MAX));
        }
        Ok(Stage { path, title, began: now, version: 0, members: Vec::new(), chosen: None })
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.name == *name)
    }

    /// Whose pass this is.
    pub(crate) fn member_with(&self, pass: Nonce) -> Option<&Member> {
        self.members.iter().find(|member| member.has_pass(pass))
    }

    /// What the audience is shown, in its order: members who are on the stage.
    pub(crate) fn layout(&self) -> Vec<&Member> {
        let on_stage = |member: &&Member| member.is_on_stage();
        match &self.chosen {
            None => self.members.iter().filter(on_stage).collect(),
            Some(names) => names.iter().filter_map(|name| self.member(name)).filter(on_stage).collect(),
        }
    }

    /// Invites somebody. Who was invited before and didn't come is invited by the new invitation only.
    pub(super) fn invite(
        &mut self,
        name: &str,
        (invitation, until): (Nonce, SystemTime),
        seats: usize,
    ) -> Result<(), StageError> {
        let invited = Member::invited(&self.path, name, invitation, until)?;
        let taken = self.members.len();
        match self.members.iter_mut().find(|member| *member.name == *name) {
            Some(member) if !member.is_invited() => return Err(StageError::MemberExists(name.to_owned())),
            Some(member) => *member = invited,
            None if taken >= seats => return Err(StageError::Full(seats)),
            None => self.members.push(invited),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), StageError> {
        let before = self.members.len();
        self.members.retain(|member| *member.name != *name);
        if let Some(chosen) = &mut self.chosen {
            chosen.retain(|chosen| **chosen != *name);
        }
        if self.members.len() == before { Err(StageError::NoMember(name.to_owned())) } else { Ok(()) }
    }

    pub(super) fn named(&mut self, name: &str) -> Result<&mut Member, StageError> {
        let found = self.members.iter_mut().find(|member| *member.name == *name);
        found.ok_or_else(|| StageError::NoMember(name.to_owned()))
    }

    /// Chooses what the audience is shown; a name that stands twice is shown once.
    pub(super) fn choose(&mut self, names: Option<Vec<String>>) -> Result<(), StageError> {
        self.chosen = match names {
            None => None,
            Some(names) => {
                let mut chosen: Vec<Arc<str>> = Vec::new();
                for name in names {
                    let member = self.member(&name).ok_or(StageError::NoMember(name))?;
                    if !chosen.contains(&member.name) {
                        chosen.push(Arc::clone(&member.name));
                    }
                }
                Some(chosen)
            }
        };
        Ok(())
    }

    /// Forgets those whose invitation or pass is over; true if there were any.
    pub(super) fn forget_expired(&mut self, now: SystemTime) -> bool {
        let over = |member: &Member| member.until() <= now;
        let names: Vec<_> =
            self.members.iter().filter(|m| over(m)).map(|member| Arc::clone(&member.name)).collect();
        for name in &names {
            // It is there: it was just found.
            let _ = self.remove(name);
        }
        !names.is_empty()
    }

    /// Notes from whom media comes; true if that changed.
    pub(super) fn note_publishing(&mut self, live: &HashSet<BroadcastPath>) -> bool {
        let mut changed = false;
        for member in &mut self.members {
            let publishes = live.contains(&member.path);
            changed |= member.publishes != publishes;
            member.publishes = publishes;
        }
        changed
    }
}
