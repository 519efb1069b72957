//! A terminal that a program writes to and whose width can change: a pair of pseudo-terminals (pty(7)).

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal of 24 lines. What is written to it is read as it came, escape sequences and all.
#[derive(Debug)]
pub struct Terminal {
    screen: OwnedFd,
}

impl Terminal {
    /// Opens one; none where the system gives none.
    pub fn open(columns: u16) -> Option<Self> {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).ok()?;
        grantpt(&screen).ok()?;
        unlockpt(&screen).ok()?;
        let terminal = Self { screen };
        terminal.resize(columns);
        Some(terminal)
    }

    /// Makes it so many columns wide.
    ///
    /// # Panics
    /// It cannot be done.
    pub fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.screen, size).expect("a terminal has a width");
    }

    /// The end that a program has.
    pub(crate) fn end(&self) -> Stdio {
        let name = ptsname(&self.screen, Vec::new()).expect("a terminal has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        Stdio::from(rustix::fs::open(name, flags, Mode::empty()).expect("a terminal can be opened"))
    }

    /// What shows what was written.
    pub(crate) fn screen(&self) -> File {
        File::from(self.screen.try_clone().expect("a terminal has several handles"))
    }
}
