//! A sample of the matrix of answers (all of it goes through the judge in the crate's own tests) over the wire.

use skyhaul_model::Backoff;
use skyhaul_transfer::End;
use skyhaul_verify::Digest;

use super::server::{Asked, Leaves, Says, Server};
use super::{Desk, noise, sha256};

/// The file's length, and how much of it comes before the connection breaks for the first time.
const LENGTH: usize = 300;
const HELD: usize = 120;

const STATUSES: [u16; 19] =
    [200, 206, 416, 206, 200, 206, 204, 205, 302, 304, 400, 403, 404, 408, 412, 429, 500, 503, 511];

/// One combination, as numbers: the server and the test read the same things out of them.
#[derive(Clone, Copy, Debug)]
struct Cell {
    tag: usize,
    modified: usize,
    status: u16,
    range: usize,
    changed: bool,
    coded: bool,
    digested: bool,
}

impl Cell {
    /// The cell of a number; its digits are the choices.
    fn of(number: usize) -> Self {
        let mut left = number;
        let mut pick = |choices: usize| {
            let digit = left % choices;
            left /= choices;
            digit
        };
        Self {
            status: STATUSES[pick(STATUSES.len())],
            tag: pick(3),
            modified: pick(3),
            range: pick(7),
            changed: pick(2) == 1,
            coded: pick(2) == 1,
            digested: pick(2) == 1,
        }
    }

    fn bytes(self, changed: bool) -> Vec<u8> {
        noise(LENGTH, if changed { 7 } else { 1 })
    }

    /// The validators' lines, and the one that is strong.
    fn validators(self, changed: bool) -> (String, Option<String>) {
        let (tag, minute) = if changed { ("\"u\"", 9) } else { ("\"t\"", 0) };
        let modified = format!("Mon, 14 Nov 1994 12:{minute:02}:00 GMT");
        let now = if self.modified == 2 { &modified } else { "Tue, 15 Nov 1994 13:00:00 GMT" };
        let mut lines = format!("\ndate: {now}");
        let mut strong = None;
        if self.modified > 0 {
            lines.push_str(&format!("\nlast-modified: {modified}"));
            strong = (self.modified == 1).then(|| modified.clone());
        }
        if self.tag > 0 {
            let weak = if self.tag == 1 { "W/" } else { "" };
            lines.push_str(&format!("\netag: {weak}{tag}"));
            strong = (self.tag == 2).then(|| tag.to_owned());
        }
        (lines, strong)
    }

    /// The answer that the cell is about.
    fn says(self) -> Says {
        let all = self.bytes(self.changed);
        let (told, body) = match (self.status, self.range) {
            (206, 1) => (Some(format!("{}-{}/{LENGTH}", HELD - 1, LENGTH - 1)), &all[HELD - 1..]),
            (206, 2) => (Some(format!("{HELD}-{}/{LENGTH}", HELD + 9)), &all[HELD..HELD + 10]),
            (206, 3) => (Some(format!("{HELD}-{}/{LENGTH}", LENGTH - 2)), &all[HELD..]),
            (206, 4) => (Some(format!("{HELD}-{}/{}", LENGTH - 1, LENGTH + 9)), &all[HELD..]),
            (206, 5) => (None, &all[HELD..]),
            (206, 6) => (Some(format!("{HELD}-/{LENGTH}")), &all[HELD..]),
            (206, _) => (Some(format!("{HELD}-{}/{LENGTH}", LENGTH - 1)), &all[HELD..]),
            (416, 0) => (Some(format!("*/{HELD}")), &all[..0]),
            (416, 1) => (Some(format!("*/{}", HELD - 1)), &all[..0]),
            (416, 2) => (Some(format!("*/{LENGTH}")), &all[..0]),
            (204 | 304 | 416, _) => (None, &all[..0]),
            // Beside a whole body a Content-Range means nothing.
            _ => (Some(format!("{HELD}-{}/{LENGTH}", LENGTH - 1)), &all[..]),
        };
        let mut head = format!("HTTP/1.1 {} Said\ncontent-length: {}", self.status, body.len());
        head.push_str(&self.validators(self.changed).0);
        told.iter().for_each(|told| head.push_str(&format!("\ncontent-range: bytes {told}")));
        if self.coded {
            head.push_str("\ncontent-encoding: gzip");
        }
        Says::with(&head, body, Leaves::Stays)
    }

    /// First the old version, cut; then the cell's answer; then the truth.
    fn answer(self, asked: &Asked) -> Says {
        let (lines, strong) = self.validators(self.changed && asked.times > 0);
        match asked.times {
            0 => {
                let head = format!("HTTP/1.1 200 OK\ncontent-length: {LENGTH}{lines}");
                Says::with(&head, &self.bytes(false)[..HELD], Leaves::Closes)
            }
            1 => self.says(),
            _ => Says::honest(asked, &self.bytes(self.changed), &lines, strong.as_deref()),
        }
    }
}

#[tokio::test]
async fn whatever_is_answered_the_file_comes_out_right() {
    let server = Server::start(|asked| {
        let number = asked.path.split('/').nth(1).unwrap().parse().unwrap();
        Cell::of(number).answer(asked)
    })
    .await;
    let desk = Desk::new();
    // The step shares no factor with any of the choices, so that all of them meet.
    for number in (0..19 * 3 * 3 * 7 * 2 * 2 * 2).step_by(41) {
        comes_right(&desk, &server, number).await;
    }
}

async fn comes_right(desk: &Desk, server: &Server, number: usize) {
    let cell = Cell::of(number);
    let truth = cell.bytes(cell.changed);
    let mut order = desk.order(server, &format!("cells/{number}/x.dat"));
    order.digests = cell.digested.then(|| Digest::sha256(sha256(&truth))).into_iter().collect();
    let mut refusals = 0;
    for _ in 0..6 {
        match desk.attempt(&mut order).await {
            End::Whole(whole) => {
                assert_eq!(desk.lies(&order).as_deref(), Some(truth.as_slice()), "{cell:?}");
                assert_eq!(whole.sealed.sha256, sha256(&truth), "{cell:?}");
                return;
            }
            End::Failed(failure) => {
                assert_eq!(desk.lies(&order), None, "{cell:?}: {failure:?}");
                refusals += u32::from(failure.backoff == Backoff::Never);
                assert!(refusals <= 1, "{cell:?}: {failure:?}");
            }
            End::Stopped { .. } | End::Unchanged => panic!("nobody said so"),
        }
    }
    panic!("{cell:?}: a server in good order did not give the file");
}
