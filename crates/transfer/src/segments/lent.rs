//! Something that a blocking task has at times, while its owner goes on.

use tokio::task::{JoinHandle, spawn_blocking};

use crate::receive::aborted;
use crate::trouble::Blow;

/// What is lent, and what went wrong where it was.
#[derive(Debug)]
pub(super) struct Lent<T> {
    place: Place<T>,
    failed: Option<Blow>,
}

#[derive(Debug)]
enum Place<T> {
    Here(T),
    Away(JoinHandle<(T, Result<(), Blow>)>),
    /// On its way from one to the other, or a panic took it.
    Gone,
}

impl<T: Send + 'static> Lent<T> {
    pub(super) fn new(own: T) -> Self {
        Self { place: Place::Here(own), failed: None }
    }

    /// It, while nobody has it.
    pub(super) fn here(&self) -> Option<&T> {
        match &self.place {
            Place::Here(own) => Some(own),
            Place::Away(_) | Place::Gone => None,
        }
    }

    /// What has failed since this was asked last.
    pub(super) fn failed(&mut self) -> Option<Blow> {
        self.failed.take()
    }

    /// Has work done with it on a blocking thread; none is done while somebody has it.
    pub(super) fn lend(&mut self, work: impl FnOnce(&mut T) -> Result<(), Blow> + Send + 'static) {
        self.place = match std::mem::replace(&mut self.place, Place::Gone) {
            Place::Here(mut own) => Place::Away(spawn_blocking(move || {
                let done = work(&mut own);
                (own, done)
            })),
            other => other,
        };
    }

    /// Whether it is here without being waited for.
    pub(super) async fn is_back(&mut self) -> Result<bool, Blow> {
        let is_back = match &self.place {
            Place::Here(_) => true,
            Place::Away(task) => task.is_finished(),
            Place::Gone => false,
        };
        if is_back {
            self.back().await?;
        }
        Ok(is_back)
    }

    /// Waits until it is here.
    pub(super) async fn back(&mut self) -> Result<&mut T, Blow> {
        if let Place::Away(task) = &mut self.place {
            let returned = task.await;
            self.place = Place::Gone;
            let (own, done) = returned.map_err(|_| aborted())?;
            self.place = Place::Here(own);
            self.failed = done.err().or(self.failed.take());
        }
        match &mut self.place {
            Place::Here(own) => Ok(own),
            Place::Away(_) | Place::Gone => Err(aborted()),
        }
    }

    /// Waits for it and takes it back for good, with what has failed.
    pub(super) async fn take_back(mut self) -> Result<(T, Option<Blow>), Blow> {
        self.back().await?;
        match self.place {
            Place::Here(own) => Ok((own, self.failed)),
            Place::Away(_) | Place::Gone => Err(aborted()),
        }
    }
}
