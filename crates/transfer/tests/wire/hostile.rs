//! Servers that break the rules of the protocol: what comes to the final path, and what is said about it.

use skyhaul_model::{ErrorKind, Verified};
use skyhaul_transfer::{End, Failure};
use skyhaul_verify::Digest;

use super::server::{Asked, Leaves, Says, Server};
use super::{Desk, noise, sha256};

const LENGTH: usize = 300;

/// Half of the file comes where an answer breaks off.
const HALF: usize = 150;

fn file() -> Vec<u8> {
    noise(LENGTH, 1)
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(70) {
        framed.extend(format!("{:x}\r\n", chunk.len()).bytes());
        framed.extend(chunk);
        framed.extend(b"\r\n");
    }
    framed
}

/// An answer that breaks a rule, and the kind of failure that it is; none where the file comes whole all the same.
struct Row {
    what: &'static str,
    head: String,
    body: Vec<u8>,
    leaves: Leaves,
    fails: Option<&'static [ErrorKind]>,
}

fn row(
    what: &'static str,
    head: impl Into<String>,
    body: impl Into<Vec<u8>>,
    leaves: Leaves,
    fails: Option<&'static [ErrorKind]>,
) -> Row {
    Row {
        what,
        head: format!("HTTP/1.1 200 OK\netag: \"t\"{}", head.into()),
        body: body.into(),
        leaves,
        fails,
    }
}

const CUT: Option<&[ErrorKind]> = Some(&[ErrorKind::Truncated, ErrorKind::Connection]);
const NONSENSE: Option<&[ErrorKind]> = Some(&[ErrorKind::Http, ErrorKind::Connection]);

fn framings() -> Vec<Row> {
    use Leaves::{Closes, Resets, Stays};
    let (all, half) = (file(), file()[..HALF].to_vec());
    let whole_chunks = [chunked(&all), b"0\r\n\r\n".to_vec()].concat();
    let te = "\ntransfer-encoding: chunked";
    let cl = format!("\ncontent-length: {LENGTH}");
    let surplus = [all.clone(), b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad".to_vec()].concat();
    vec![
        row("rule 48: the end before the promised end", &*cl, &*half, Closes, CUT),
        row("rule 48: a reset before the promised end", &*cl, &*half, Resets, CUT),
        row("rule 49: no last chunk", te, chunked(&half), Closes, CUT),
        row("rule 49: no last chunk, and all bytes", te, chunked(&all), Closes, CUT),
        row("rule 49: half a last chunk", te, [chunked(&all), b"0\r\n".to_vec()].concat(), Closes, CUT),
        row("rule 49: a reset for the last chunk", te, chunked(&all), Resets, CUT),
        row(
            "rule 50: chunks beside a length",
            format!("{te}\ncontent-length: 7"),
            &*whole_chunks,
            Closes,
            None,
        ),
        row("rule 51: another coding last", "\ntransfer-encoding: chunked, gzip", &*all, Closes, NONSENSE),
        row(
            "rule 51: another coding first",
            "\ntransfer-encoding: gzip, chunked",
            &*whole_chunks,
            Stays,
            NONSENSE,
        ),
        row("rule 51: an unknown coding", "\ntransfer-encoding: zip", &*all, Closes, NONSENSE),
        row("rule 52: two lengths", format!("{cl}\ncontent-length: 9"), &*all, Stays, NONSENSE),
        row("rule 52: the same twice", format!("{cl}{cl}"), &*all, Stays, None),
        row("rule 52: a negative length", "\ncontent-length: -300", &*all, Stays, NONSENSE),
        row("rule 52: a length beyond all", "\ncontent-length: 18446744073709551617", &*all, Stays, NONSENSE),
        row("rule 52: a length in words", "\ncontent-length: many", &*all, Stays, NONSENSE),
        row("rule 53: a reset in place of the end", "\nconnection: close", &*half, Resets, CUT),
        row("rule 53: a reset behind all bytes", "\nconnection: close", &*all, Resets, CUT),
        row(
            "rule 54: a chunk larger than all memory",
            te,
            b"fffffffffffffffff\r\nx".to_vec(),
            Closes,
            NONSENSE,
        ),
        row("rule 54: a chunk of no size", te, b"x\r\nx".to_vec(), Closes, NONSENSE),
        row("rule 54: a NUL in the head", "\nx: \0", &*all, Stays, NONSENSE),
        row("rule 54: a flood of headers", flood(), &*all, Stays, NONSENSE),
        row(
            "rule 54: a header without an end",
            format!("\nx: {}", "y".repeat(1 << 20)),
            &*all,
            Stays,
            NONSENSE,
        ),
        row("more than promised", &*cl, surplus, Closes, None),
    ]
}

fn flood() -> String {
    (0..10_000).map(|number| format!("\nx-{number}: y")).collect()
}

/// Asks for the file where the first answer is this one, and the next are in order.
async fn first_answered(desk: &Desk, answer: Says, path: &str) -> Result<Verified, Failure> {
    let server = Server::start(move |asked: &Asked| match asked.times {
        0 => answer.clone(),
        _ => Says::honest(asked, &file(), "\netag: \"t\"", Some("\"t\"")),
    })
    .await;
    let mut order = desk.order(&server, path);
    let first = match desk.attempt(&mut order).await {
        End::Whole(whole) => Ok(whole.sealed.verified),
        End::Failed(failure) => {
            assert_eq!(desk.lies(&order), None, "{path}: {failure:?}");
            let End::Whole(_) = desk.attempt(&mut order).await else { panic!("{path}: no second chance") };
            Err(failure)
        }
        End::Stopped { .. } | End::Unchanged => panic!("nobody said so"),
    };
    assert!(desk.lies(&order).is_some_and(|lies| lies == file()), "{path}: other bytes");
    first
}

#[tokio::test]
async fn rules_48_to_54_framing() {
    let desk = Desk::new();
    for (number, Row { what, head, body, leaves, fails }) in framings().into_iter().enumerate() {
        let answer = Says::with(&head, &body, leaves);
        let first = first_answered(&desk, answer, &format!("framing/{number}/x.dat")).await;
        match (first, fails) {
            (Ok(_), None) => {}
            (Err(failure), Some(kinds)) => {
                assert!(kinds.contains(&failure.error.kind), "{what}: {failure:?}");
            }
            (first, _) => panic!("{what}: {first:?}"),
        }
    }
}

#[tokio::test]
async fn rule_53_a_body_that_the_connections_end_delimits_is_believed_on_a_clean_end_alone() {
    let desk = Desk::new();
    let head = "HTTP/1.0 200 OK\netag: \"t\"";
    let whole = first_answered(&desk, Says::with(head, &file(), Leaves::Closes), "ends/x.dat").await;
    assert_eq!(whole.unwrap(), Verified::None, "nothing was known to hold it against, and it says so");
    // A clean end that comes too early cannot be told from the end, but for a check or a digest.
    let cut = Says::with(head, &file()[..HALF], Leaves::Closes);
    let server = Server::start(move |asked| match asked.times {
        0 => cut.clone(),
        _ => Says::honest(asked, &file(), "", None),
    })
    .await;
    let mut order = desk.order(&server, "digest/x.dat");
    order.digests = vec![Digest::sha256(sha256(&file()))];
    let End::Failed(failure) = desk.attempt(&mut order).await else { panic!("half a file is none") };
    assert_eq!(failure.error.kind, ErrorKind::Checksum);
    let End::Whole(_) = desk.attempt(&mut order).await else { panic!("no second chance") };
    assert_eq!(desk.lies(&order), Some(file()));
}

#[tokio::test]
async fn interim_answers_of_any_number_are_passed_over_or_refused() {
    let desk = Desk::new();
    for (interim, many) in [("100 Continue", 3), ("103 Early Hints\nlink: </x>", 40), ("199 What", 5_000)] {
        let good = Says::honest(&Asked::default(), &file(), "\netag: \"t\"", None);
        let prefix = format!("HTTP/1.1 {interim}\n\n").replace('\n', "\r\n").repeat(many);
        let bytes = [prefix.as_bytes(), &good.bytes].concat();
        let path = format!("interim/{many}/x.dat");
        // Whether they are suffered or not: the file is right, and nothing hangs.
        let _ = first_answered(&desk, Says { bytes, leaves: Leaves::Closes }, &path).await;
    }
}

#[tokio::test]
async fn rules_41_and_47_an_answer_without_a_body_makes_no_file() {
    let desk = Desk::new();
    for status in ["304 Not Modified", "204 No Content", "205 Reset", "206 Part", "416 No"] {
        let answer = Says::with(&format!("HTTP/1.1 {status}\netag: \"t\""), b"", Leaves::Closes);
        let path = format!("nothing/{}/x.dat", &status[..3]);
        let failure = first_answered(&desk, answer, &path).await.unwrap_err();
        assert!(
            matches!(failure.error.kind, ErrorKind::Http | ErrorKind::Truncated),
            "{status}: {failure:?}"
        );
    }
    let empty = Says::with("HTTP/1.1 200 OK", b"", Leaves::Closes);
    assert_eq!(
        first_answered(&desk, empty, "nothing/200/x.dat").await.unwrap_err().error.kind,
        ErrorKind::Truncated
    );
}

#[tokio::test]
async fn rule_56_trailers_are_no_bytes_of_the_file_and_their_digest_counts() {
    /// SHA-256 of the file, and of nothing (FIPS 180-4), in base64.
    const RIGHT: &str = "repr-digest: sha-256=:QTrLhaO2/6jWRSJhFVGH3gGOLIxwc3o7HL3NxEBKYI0=:";
    const WRONG: &str = "Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    let table = [
        ("x: y", "", Ok(Verified::None)),
        (RIGHT, "", Ok(Verified::Digest)),
        (WRONG, "", Err(ErrorKind::Checksum)),
        ("repr-digest: sha-256=:AAAA:", "", Ok(Verified::None)),
        // Of what the message carries, which a trailer cannot be trusted to know.
        ("content-md5: 1B2M2Y8AsgTpgAmY7PhCfg==", "", Ok(Verified::None)),
        // What was announced was held against the bytes as they passed.
        (WRONG, RIGHT, Ok(Verified::Digest)),
        (RIGHT, WRONG, Err(ErrorKind::Checksum)),
    ];
    let desk = Desk::new();
    for (number, (trailer, header, expected)) in table.into_iter().enumerate() {
        let body = [chunked(&file()), format!("0\r\n{trailer}\r\n\r\n").into_bytes()].concat();
        let head = "HTTP/1.1 200 OK\netag: \"t\"\ntrailer: repr-digest\ntransfer-encoding: chunked";
        let head = format!("{head}\n{header}");
        let answer = Says::with(head.trim_end(), &body, Leaves::Stays);
        let first = first_answered(&desk, answer, &format!("trailers/{number}/x.dat")).await;
        assert_eq!(first.map_err(|failure| failure.error.kind), expected, "{trailer}, {header}");
    }
}
