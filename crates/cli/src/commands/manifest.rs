//! `manifest`: what was pulled, with sizes and digests, read from the queue page by page.

use serde::Serialize;
use skyhaul_model::{FileRecord, JobRecord, RelPath, Sealed, Source};
use skyhaul_queue::FileQuery;

use crate::access::with_queue;
use crate::args::{ManifestArgs, ManifestFormat};
use crate::context::Context;
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::jobs::find;
use crate::json::{ManifestFile, SourceDocument, hex};

/// Files read from the queue at once.
const PAGE: usize = 1_024;

/// The version of the JSON form.
const VERSION: u32 = 1;

/// Everything of the JSON form but its files.
#[derive(Serialize)]
struct Head<'a> {
    skyhaul_manifest: u32,
    job: u64,
    name: Option<&'a str>,
    out: &'a str,
    source: SourceDocument<'a>,
    datasets: &'a [String],
}

/// A file that lies there: its place, its record, its proof.
struct HeldFile<'a> {
    path: &'a RelPath,
    url: &'a str,
    sealed: &'a Sealed,
}

/// Runs the command.
pub(crate) async fn run(args: ManifestArgs, context: &Context) -> Result<Exit, CliError> {
    let usual = if context.is_json() { ManifestFormat::Json } else { ManifestFormat::Sha256sum };
    let format = args.format.unwrap_or(usual);
    with_queue(context, async |desk: &Desk| {
        let job = find(desk.jobs(), &args.job.job).await?;
        context.output.raw(before(format, &job)?.as_bytes())?;
        let mut written = 0u64;
        let mut after = None;
        loop {
            // Those that the archive is asked about once more lie there as well.
            let query = FileQuery { state: None, after, limit: PAGE };
            let page = desk.files(job.id, query).await?;
            for file in page.files.iter().filter_map(held) {
                context.output.raw(&row(format, &file, written)?)?;
                written += 1;
            }
            after = page.next;
            if after.is_none() {
                context.output.raw(behind(format))?;
                return Ok(Exit::Done);
            }
        }
    })
    .await
}

/// What stands before the files.
fn before(format: ManifestFormat, job: &JobRecord) -> Result<String, CliError> {
    match format {
        ManifestFormat::Sha256sum => Ok(String::new()),
        ManifestFormat::Csv => Ok("path,url,size,sha256,verified\n".to_owned()),
        ManifestFormat::Json => {
            let source = &job.query.source;
            let datasets = match source {
                Source::Archive { datasets, .. } => datasets.as_slice(),
                Source::Urls { .. } | Source::Manifest { .. } => &[],
            };
            let head = Head {
                skyhaul_manifest: VERSION,
                job: job.id.0,
                name: job.name.as_deref(),
                out: &job.query.out,
                source: SourceDocument::new(source),
                datasets,
            };
            let head = serde_json::to_string(&head).map_err(|error| unwritable(&error))?;
            // The files follow one by one, however many: the object stays open until they are through.
            let open = head.strip_suffix('}').unwrap_or(&head);
            Ok(format!("{open},\"files\":["))
        }
    }
}

/// A file's line; `index` counts those before it.
fn row(format: ManifestFormat, file: &HeldFile<'_>, index: u64) -> Result<Vec<u8>, CliError> {
    match format {
        ManifestFormat::Sha256sum => Ok(checksum_line(file.path.as_str(), &file.sealed.sha256).into_bytes()),
        ManifestFormat::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let sealed = file.sealed;
            let fields = [
                file.path.as_str(),
                file.url,
                &sealed.size.to_string(),
                &hex(&sealed.sha256),
                sealed.verified.as_str(),
            ];
            writer.write_record(fields).map_err(|error| unwritable(&error))?;
            writer.into_inner().map_err(|error| unwritable(&error))
        }
        ManifestFormat::Json => {
            let document = ManifestFile {
                path: file.path.as_str(),
                url: file.url,
                size: file.sealed.size,
                sha256: hex(&file.sealed.sha256),
                verified: file.sealed.verified.as_str(),
            };
            let mut line = if index == 0 { b"\n".to_vec() } else { b",\n".to_vec() };
            serde_json::to_writer(&mut line, &document).map_err(|error| unwritable(&error))?;
            Ok(line)
        }
    }
}

/// What stands behind the files.
fn behind(format: ManifestFormat) -> &'static [u8] {
    match format {
        ManifestFormat::Sha256sum | ManifestFormat::Csv => b"",
        ManifestFormat::Json => b"\n]}\n",
    }
}

/// A line as coreutils writes it: a name with a backslash or a line break is escaped, and the line then
/// begins with a backslash.
fn checksum_line(name: &str, digest: &[u8]) -> String {
    let digest = hex(digest);
    if !name.contains(['\\', '\n', '\r']) {
        return format!("{digest}  {name}\n");
    }
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    format!("\\{digest}  {escaped}\n")
}

fn held(file: &FileRecord) -> Option<HeldFile<'_>> {
    let (Ok(path), Some(sealed)) = (&file.spec.path, &file.sealed) else { return None };
    Some(HeldFile { path, url: &file.spec.url, sealed })
}

fn unwritable(error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::failed("cannot write the manifest").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn written(format: ManifestFormat, files: &[FileRecord]) -> String {
        let mut text = before(format, &samples::finished_job()).unwrap().into_bytes();
        for (index, file) in files.iter().filter_map(held).enumerate() {
            text.extend(row(format, &file, index as u64).unwrap());
        }
        text.extend(behind(format));
        String::from_utf8(text).unwrap()
    }

    fn file(name: &str) -> FileRecord {
        let mut file = samples::file();
        file.spec.path = Ok(RelPath::parse(name).unwrap());
        file.spec.url = format!("https://h/{name}");
        file
    }

    #[test]
    fn checksum_lines_are_coreutils_own() {
        let digest = "ab".repeat(32);
        assert_eq!(written(ManifestFormat::Sha256sum, &[file("D/a")]), format!("{digest}  D/a\n"));
        assert_eq!(checksum_line("a\\b\nc", &[0xab; 32]), format!("\\{digest}  a\\\\b\\nc\n"));
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let digest = "ab".repeat(32);
        let text = written(ManifestFormat::Csv, &[file("D/a,b")]);
        let row = format!("\"D/a,b\",\"https://h/D/a,b\",2138488,{digest},container\n");
        assert_eq!(text, format!("path,url,size,sha256,verified\n{row}"));
    }

    #[test]
    fn json_is_one_document_with_a_file_on_each_line() {
        for count in 0..3 {
            let files: Vec<_> = (0..count).map(|n| file(&format!("D/{n}"))).collect();
            let text = written(ManifestFormat::Json, &files);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["files"].as_array().map(Vec::len), Some(count));
            assert_eq!(value["datasets"][0], "THEMIS_ASI_RAW");
            assert_eq!(text.lines().count(), count + 2);
        }
    }

    #[test]
    fn what_is_written_is_what_a_pull_reads() {
        let text = written(ManifestFormat::Json, &[file("D/a"), file("D/b")]);
        let scratch = tempfile::tempdir().unwrap();
        let form = skyhaul_planner::ListForm::Manifest;
        let intake = skyhaul_planner::take_in(&mut text.as_bytes(), &form, scratch.path()).unwrap();
        assert_eq!(intake.files, 2);
    }
}
