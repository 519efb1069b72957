//! `verify`: reads the finished files again and compares them with what was recorded.
//!
//! Several files are read at once, never more than the machine has use for; the bad ones alone are
//! remembered. With `--repair` they are queued again, which is durable before the command answers; but for those that
//! the archive is being asked about anyway: the queue takes them back once they are done.

use std::path::{Path, PathBuf};

use skyhaul_model::{FileError, FileRecord, FileSeq, FileState, JobRecord, VerifyLevel};
use skyhaul_queue::FileQuery;
use skyhaul_transfer::{Expected, check_file};
use skyhaul_verify::Digest;
use tokio::task::JoinSet;

use crate::access::with_queue;
use crate::args::VerifyArgs;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::jobs::find;
use crate::json::{BadFile, VerifyDocument};

/// Files read from the queue at once.
const PAGE: usize = 1_024;

/// The most files that are re-read at once: disks gain little from more.
const MOST_READERS: usize = 8;

/// A file that is not as it was recorded.
#[derive(Debug)]
struct Bad {
    file: FileSeq,
    state: FileState,
    told: BadFile,
    error: FileError,
}

/// Runs the command.
pub(crate) async fn run(args: VerifyArgs, context: &Context) -> Result<Exit, CliError> {
    with_queue(context, async |desk: &Desk| {
        let job = find(desk.jobs(), &args.job.job).await?;
        let (files, bad) = Box::pin(compare(desk, &job)).await?;
        let count = bad.len() as u64;
        let done = bad.iter().filter(|bad| args.repair && bad.state == FileState::Done);
        let repaired: Vec<_> = done.map(|bad| (bad.file, bad.error.clone())).collect();
        let queued = repaired.len() as u64;
        if queued > 0 {
            desk.invalidate(job.id, repaired).await?;
        }
        let bad: Vec<BadFile> = bad.into_iter().map(|bad| bad.told).collect();
        answer(context, &VerifyDocument { files, ok: files - count, bad })?;
        if queued > 0 {
            context.output.note(&format!("{} queued again", human::counted(queued, "file")));
            if desk.engine().is_none() {
                context.output.hint("the same pull, or 'skyhaul engine start', fetches them");
            }
        }
        if queued == count {
            return Ok(Exit::Done);
        }
        if args.repair {
            context.output.hint(
                "the archive is being asked about the others: verify them again when the job is finished",
            );
        } else {
            context.output.hint(&format!("'skyhaul verify {} --repair' queues them again", job.id));
        }
        Ok(Exit::SomeFailed)
    })
    .await
}

fn answer(context: &Context, document: &VerifyDocument) -> Result<(), CliError> {
    if context.is_json() {
        return context.output.json(document);
    }
    for bad in &document.bad {
        context.output.line(&format!("{:<9} {}: {}", bad.kind, bad.path, bad.message))?;
    }
    let (files, ok) = (human::counted(document.files, "file"), human::count(document.ok));
    context.output.line(&format!("{files} read again, {ok} as recorded, {} not", document.bad.len()))
}

/// Re-reads every file that is held: how many there are, and the bad ones in listing order.
async fn compare(desk: &Desk, job: &JobRecord) -> Result<(u64, Vec<Bad>), CliError> {
    let readers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS);
    let out = PathBuf::from(&job.query.out);
    let (mut files, mut bad) = (0, Vec::new());
    let mut after = None;
    loop {
        let page = desk.files(job.id, FileQuery { state: None, after, limit: PAGE }).await?;
        let mut reading: JoinSet<Option<Bad>> = JoinSet::new();
        for file in page.files.into_iter().filter(|file| file.sealed.is_some()) {
            files += 1;
            if reading.len() >= readers {
                bad.extend(finished(&mut reading).await?);
            }
            let out = out.clone();
            reading.spawn_blocking(move || look(&file, &out));
        }
        while !reading.is_empty() {
            bad.extend(finished(&mut reading).await?);
        }
        after = page.next;
        if after.is_none() {
            bad.sort_unstable_by_key(|bad| bad.file);
            return Ok((files, bad));
        }
    }
}

async fn finished(reading: &mut JoinSet<Option<Bad>>) -> Result<Option<Bad>, CliError> {
    match reading.join_next().await {
        Some(Ok(bad)) => Ok(bad),
        Some(Err(error)) => Err(CliError::failed("reading a file broke off").because(&error)),
        None => Ok(None),
    }
}

/// Compares one file with its record. Blocking.
fn look(record: &FileRecord, out: &Path) -> Option<Bad> {
    let (Ok(path), Some(sealed)) = (&record.spec.path, &record.sealed) else { return None };
    let expected = Expected { size: Some(sealed.size), digests: vec![Digest::sha256(sealed.sha256)] };
    // The digest settles the matter: what the format says of the same bytes was asked when they came.
    let error = check_file(&out.join(path.as_str()), VerifyLevel::Length, &expected).err()?;
    let told = BadFile { path: path.as_str().to_owned(), kind: error.kind, message: error.message.clone() };
    Some(Bad { file: record.seq, state: record.state, told, error })
}

#[cfg(test)]
mod tests {
    use skyhaul_model::{ErrorKind, RelPath};

    use super::*;
    use crate::samples;

    /// SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    const ABC: [u8; 32] = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0,
        0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    ];

    fn look_at(content: Option<&str>) -> Option<ErrorKind> {
        let out = tempfile::tempdir().unwrap();
        let mut record = samples::file();
        record.spec.path = Ok(RelPath::parse("a").unwrap());
        if let Some(sealed) = &mut record.sealed {
            (sealed.size, sealed.sha256) = (3, ABC);
        }
        if let Some(content) = content {
            std::fs::write(out.path().join("a"), content).unwrap();
        }
        look(&record, out.path()).map(|bad| bad.told.kind)
    }

    #[test]
    fn damage_has_the_kinds_that_files_fail_with() {
        let table = [
            (Some("abc"), None),
            (Some("abd"), Some(ErrorKind::Checksum)),
            (Some("abcd"), Some(ErrorKind::Checksum)),
            (Some("ab"), Some(ErrorKind::Truncated)),
            (None, Some(ErrorKind::NotFound)),
        ];
        for (content, found) in table {
            assert_eq!(look_at(content), found, "{content:?}");
        }
    }
}
