//! Cases: pages of files and windows.

use skyhaul_model::{FileState, WindowId};

use super::fixture::{
    all_files, at, claim, failed, finish, job, list_next, listed_job, lost_spec, new_job, planned, spec,
};
use crate::{AttemptEnd, FileQuery, Queue, WindowQuery};

/// Whatever the size of the page: every file once, ascending, as it was staged.
pub async fn pages_cover_all_files_once(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..3).await;
    list_next(queue, id, (0..700).map(spec).collect(), None).await;
    list_next(queue, id, vec![], None).await;
    list_next(queue, id, (700..720).map(spec).collect(), None).await;
    for limit in [1, 7, 256, 719, 720, 721] {
        let files = all_files(queue, id, None, limit).await;
        assert!(files.is_sorted_by(|a, b| a.seq < b.seq), "in order by pages of {limit}");
        let specs: Vec<_> = files.into_iter().map(|file| file.spec).collect();
        assert!(specs == (0..720).map(spec).collect::<Vec<_>>(), "by pages of {limit}");
    }
    let last = all_files(queue, id, None, 720).await[719].seq;
    let beyond = FileQuery { state: None, after: Some(last), limit: 5 };
    let page = queue.files(id, beyond).await.unwrap();
    assert_eq!((page.files, page.next), (vec![], None));
    assert_eq!(claim(queue, 1_000, 1).await.len(), 720);
}

/// Each state's pages hold that state's files and all of them.
pub async fn a_filter_finds_each_state(queue: &dyn Queue) {
    let specs = (0..40).map(|n| if n % 10 == 9 { lost_spec(n) } else { spec(n) }).collect();
    let id = listed_job(queue, new_job("a"), specs).await;
    let claims = claim(queue, 20, 1).await;
    for (index, claimed) in claims.iter().enumerate() {
        match index % 4 {
            0 => finish(queue, claimed.file, 10, 2).await,
            1 => queue.fail(vec![failed(claimed.file, AttemptEnd::GiveUp)], at(2)).await.unwrap(),
            2 => queue.fail(vec![failed(claimed.file, AttemptEnd::RetryAt(at(9)))], at(2)).await.unwrap(),
            _ => {}
        }
    }
    let all = all_files(queue, id, None, 9).await;
    for (state, count) in
        [(FileState::Pending, 21), (FileState::Active, 5), (FileState::Done, 5), (FileState::Failed, 9)]
    {
        let wanted: Vec<_> = all.iter().filter(|file| file.state == state).cloned().collect();
        assert_eq!(wanted.len(), count, "{state:?}");
        for limit in [1, 4, 100] {
            assert_eq!(all_files(queue, id, Some(state), limit).await, wanted, "{state:?} by {limit}");
        }
    }
}

/// Windows in planned order, page by page.
pub async fn windows_come_in_pages(queue: &dyn Queue) {
    let id = planned(queue, new_job("a"), 0..5).await;
    let first = queue.windows(id, WindowQuery { after: None, limit: 2 }).await.unwrap();
    assert_eq!(first.windows.iter().map(|window| window.id).collect::<Vec<_>>(), [WindowId(0), WindowId(1)]);
    let second = queue.windows(id, WindowQuery { after: first.next, limit: 2 }).await.unwrap();
    let third = queue.windows(id, WindowQuery { after: second.next, limit: 2 }).await.unwrap();
    assert_eq!(third.windows.iter().map(|window| window.id).collect::<Vec<_>>(), [WindowId(4)]);
    assert_eq!(third.next, None);
    assert_eq!(job(queue, id).await.windows.open(), 5);
}
