//! What every implementation of the queue's traits must do, as cases that run on any of them.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each case; after every case the
//! counters of all jobs are held against a recount of their files and windows.

// A test suite says what it expects by panicking.
#![expect(clippy::unwrap_used, reason = "a test suite fails by panicking")]

pub mod ends;
pub mod fixture;
pub mod jobs;
pub mod leases;
pub mod pages;
pub mod plan;
pub mod relist;
pub mod troubles;
pub mod work;

use skyhaul_model::{FileState, JobRecord, Proof, WindowState};

use crate::{JobQueue, Overview, Queue, WindowQuery};

/// Makes a test of each case. `$make` is an async function without arguments that returns a fresh queue
/// and whatever has to live as long as it (a folder, say).
#[macro_export]
macro_rules! conformance_tests {
    ($make:path) => {
        $crate::conformance_tests! { @ $make =>
            jobs {
                a_job_is_created_once_and_the_newest_policy_wins
                a_name_belongs_to_one_job
                secret_headers_are_kept_and_replaced_only_where_given
                unknown_jobs_are_refused
                intents_are_idempotent_and_a_cancelled_job_runs_again
                a_held_job_gives_no_claims
                a_removed_job_is_gone_and_its_number_too
                a_job_that_has_changed_since_it_was_seen_is_not_removed
                finishing_times_are_set_once_and_cleared
                a_change_wakes_who_waits
                a_list_is_copied_and_read_back
            }
            plan {
                a_plan_is_settled_once
                a_refused_plan_is_final_until_put_back
                a_long_plan_does_not_hold_up_a_short_one
                windows_are_claimed_by_priority_and_due_time
                staged_files_are_unseen_until_the_window_is_listed
                a_new_claim_forgets_what_was_staged
                a_path_that_cannot_be_is_a_failed_file
                parts_take_a_split_windows_place
                failed_windows_are_counted_and_put_back
                a_released_window_costs_nothing
                bytes_are_totalled_when_everything_told
            }
            work {
                files_are_dealt_by_priority_then_in_turn_then_in_order
                a_file_is_not_claimed_before_its_time
                only_jobs_of_the_filter_are_claimed_from
                a_release_costs_nothing_and_keeps_what_was_received
                sealed_then_completed
                a_sealed_claim_comes_back_with_its_seal
                a_lost_seal_is_forgotten
                what_was_received_never_shrinks
                adopted_bytes_are_counted_apart
            }
            ends {
                a_failed_attempt_is_tried_again_or_given_up
                failed_files_are_put_back
                a_bad_file_is_put_back
                a_batch_is_done_whole_or_not_at_all
                ends_of_work_pass_over_jobs_that_are_gone
                a_cancelled_jobs_claims_may_still_end
                what_cannot_follow_is_a_conflict
            }
            relist {
                listing_again_adds_what_is_new
                only_the_windows_of_the_span_are_listed_again
                done_files_are_checked_again
                a_changed_file_is_sealed_anew
                a_check_that_failed_is_made_again
                a_relisting_that_fails_is_a_failed_window
                windows_are_added_once
            }
            troubles {
                failures_are_counted_by_kind_and_host
                paths_that_cannot_be_are_counted
                troubles_are_history
                a_file_tells_why_it_begins_anew
                a_list_of_checksums_is_kept_and_replaced
            }
            leases {
                an_expired_claim_is_given_out_again
                a_renewed_claim_stays
                an_expired_window_claim_is_given_out_again
            }
            pages {
                pages_cover_all_files_once
                a_filter_finds_each_state
                windows_come_in_pages
            }
        }
    };
    (@ $make:path => $($group:ident { $($case:ident)* })*) => {
        $(
            mod $group {
                #[allow(unused_imports, reason = "the maker may be a path that needs no import")]
                use super::*;
                $(
                    #[tokio::test]
                    async fn $case() {
                        let (queue, _guard) = $make().await;
                        $crate::conformance::$group::$case(&queue).await;
                        $crate::conformance::check_counters(&queue).await;
                    }
                )*
            }
        )*
    };
}

/// Holds the counters of all jobs against a recount of their files and windows.
///
/// # Panics
/// When they differ.
pub async fn check_counters(queue: &dyn Queue) {
    let jobs = JobQueue::jobs(queue).await.unwrap();
    for job in &jobs {
        check_files(queue, job).await;
        check_windows(queue, job).await;
    }
    for most in [1, jobs.len()] {
        assert_eq!(queue.overview(most).await.unwrap(), Overview::of(jobs.clone(), most));
    }
}

async fn check_files(queue: &dyn Queue, job: &JobRecord) {
    let files = fixture::all_files(queue, job.id, None, 3).await;
    let count = |state| files.iter().filter(|file| file.state == state).count() as u64;
    assert_eq!(job.files.total, files.len() as u64, "total of {job:?}");
    assert_eq!(job.files.pending, count(FileState::Pending), "pending of {job:?}");
    assert_eq!(job.files.active, count(FileState::Active), "active of {job:?}");
    assert_eq!(job.files.done, count(FileState::Done), "done of {job:?}");
    assert_eq!(job.files.failed, count(FileState::Failed), "failed of {job:?}");
    assert_eq!(job.bytes.received, files.iter().map(|file| file.received).sum::<u64>(), "{job:?}");
    let done = || files.iter().filter(|file| file.state == FileState::Done);
    let sealed = || done().filter_map(|file| file.sealed.as_ref());
    assert_eq!(job.bytes.done, sealed().map(|sealed| sealed.size).sum::<u64>(), "{job:?}");
    let adopted = sealed().filter(|sealed| sealed.proof == Proof::Adopted);
    assert_eq!(job.bytes.adopted, adopted.map(|sealed| sealed.size).sum::<u64>(), "{job:?}");
    for file in &files {
        // While it is checked, or could not be, it lies there all the same.
        assert!(file.sealed.is_some() || file.state != FileState::Done, "{file:?}");
    }
    assert_eq!(job.finished_at.is_some(), job.state().is_final(), "{job:?}");
}

async fn check_windows(queue: &dyn Queue, job: &JobRecord) {
    let page = queue.windows(job.id, WindowQuery { after: None, limit: 10_000 }).await.unwrap();
    let count = |wanted: fn(&WindowState) -> bool| {
        page.windows.iter().filter(|window| wanted(&window.state)).count() as u64
    };
    assert_eq!(job.windows.total, count(|_| true), "{job:?}");
    assert_eq!(job.windows.listed, count(|state| matches!(state, WindowState::Listed { .. })), "{job:?}");
    assert_eq!(job.windows.failed, count(|state| *state == WindowState::Failed), "{job:?}");
}
