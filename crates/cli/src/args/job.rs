//! How jobs are named on the command line.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::Args;
use skyhaul_model::JobId;

/// A job, as a person names it: by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobRef {
    /// Its number.
    Number(JobId),
    /// Its name.
    Name(String),
}

/// One job.
#[derive(Args, Debug)]
pub(crate) struct JobArgs {
    /// A job's number or name
    #[arg(value_name = "JOB")]
    pub(crate) job: JobRef,
}

/// Some jobs, or all of them.
#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    /// Jobs' numbers or names
    #[arg(value_name = "JOB", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) jobs: Vec<JobRef>,
    /// All jobs that this makes sense for
    #[arg(long)]
    pub(crate) all: bool,
}

impl FromStr for JobRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Digits beyond 64 bits name no job, and no job's name is all digits: not found either way.
        Ok(match text.parse() {
            Ok(number) if is_number => Self::Number(JobId(number)),
            _ => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Name(name) => write!(f, "'{name}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_number_and_all_else_a_name() {
        let number = |n| JobRef::Number(JobId(n));
        let name = |text: &str| JobRef::Name(text.to_owned());
        let table = [
            ("7", number(7)),
            ("007", number(7)),
            ("+7", name("+7")),
            ("winter", name("winter")),
            ("", name("")),
            ("99999999999999999999", name("99999999999999999999")),
        ];
        for (text, job) in table {
            assert_eq!(text.parse(), Ok(job), "{text}");
        }
    }
}
