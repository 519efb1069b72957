//! Which boot of the machine this is: after a power cut the index is not believed, after a mere crash it is.

use std::fmt;

/// The name of a boot that cannot be told from others.
const UNKNOWN: &str = "unknown";

/// One boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootId(String);

impl BootId {
    /// The boot that this process runs in; on systems that do not tell, one that equals no other.
    #[must_use]
    pub fn current() -> Self {
        // proc(5), /proc/sys/kernel/random/boot_id: a random UUID made at boot.
        let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self::named(told.trim())
    }

    /// A boot by its name; an empty name is an unknown boot.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(if name.is_empty() { UNKNOWN } else { name }.to_owned())
    }

    /// This boot as if it were another, for whoever tries out what a reboot does. Never a boot that was not called
    /// so: what is pretended can take trust away, but give none.
    #[must_use]
    pub fn pretending(&self, name: &str) -> Self {
        if self.0 == UNKNOWN { self.clone() } else { Self(format!("{}+{name}", self.0)) }
    }

    /// Whether what was in memory and not yet on disk in the `earlier` boot is still there.
    pub(crate) fn is_same_boot(&self, earlier: &str) -> bool {
        self.0 == earlier && self.0 != UNKNOWN
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_boot_is_never_the_same() {
        assert!(BootId::named("a").is_same_boot("a"));
        assert!(!BootId::named("a").is_same_boot("b"));
        assert!(!BootId::named("").is_same_boot(UNKNOWN));
    }

    #[test]
    fn a_pretended_boot_is_like_itself_alone() {
        let (real, pretended) = (BootId::named("a"), BootId::named("a").pretending("b"));
        assert!(!pretended.is_same_boot("a") && !real.is_same_boot(&pretended.0));
        assert!(pretended.is_same_boot(&real.pretending("b").0));
        assert!(!BootId::named("").pretending("b").is_same_boot("unknown+b"));
    }
}
