//! What an engine is told at its start and what it tells at its end.

use std::time::Duration;

use skyhaul_model::{FileError, JobId, JobPolicy};
use skyhaul_queue::{LeaseOwner, QueueError};
use thiserror::Error;

use crate::scope::Scope;

/// What to do when nothing is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenIdle {
    /// End.
    Exit,
    /// End, and do so as soon as this job is over, whatever else there is to do.
    ExitAfter(JobId),
    /// Wait for what a standing job's next listings bring; end once a person pauses, cancels or removes it.
    StandBy(JobId),
    /// Wait for new work.
    Wait,
}

/// What to do when a disk is full or under its floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFullDisk {
    /// Hold the job and go on with others; end when all jobs are held.
    Stop,
    /// Hold the job and look again until there is room.
    Wait,
}

/// How an engine is to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which jobs it works on.
    pub scope: Scope,
    /// What it does when they are finished.
    pub when_idle: WhenIdle,
    /// What holds where a job leaves something open.
    pub policy: JobPolicy,
    /// What it does when a disk is full.
    pub on_full_disk: OnFullDisk,
    /// The most files in work at once.
    pub workers: usize,
    /// The most connections to a host: those that no file needs for itself help large ones.
    pub connections: usize,
    /// The most listings in work at once.
    pub listers: usize,
    /// How long after their end jobs are forgotten; never if none.
    pub forget_after: Option<Duration>,
    /// Whose claims these are: a number no other running engine has.
    pub owner: LeaseOwner,
    /// What tells one boot of the machine from another.
    pub boot: String,
}

/// Why an engine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do.
    Idle,
    /// It was told to stop; everything is kept.
    Stopped,
    /// Nothing can be done before a person or time changes something: this job is held, for this reason.
    Held(JobId, FileError),
}

/// Why an engine broke.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A task of ours panicked: a bug.
    #[error("a task of the engine broke: {0}")]
    Task(#[from] tokio::task::JoinError),
}
