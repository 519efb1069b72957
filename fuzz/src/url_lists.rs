//! A list of URLs or a manifest: what is taken in can be read again, slice by slice, and nothing is lost.

use skyhaul_model::WindowTarget;
use skyhaul_planner::{ListForm, slice_files, take_in};

/// The first byte says what the list is, the rest is the list.
pub(crate) fn url_lists(input: &[u8]) {
    let Some((first, mut list)) = input.split_first() else { return };
    let form = match first % 3 {
        0 => ListForm::Urls { base: None },
        1 => ListForm::Urls { base: Some("https://a.example/d/".to_owned()) },
        _ => ListForm::Manifest,
    };
    let scratch = std::env::temp_dir();
    let Ok(intake) = take_in(&mut list, &form, &scratch) else { return };
    let lines = std::fs::read(intake.path()).unwrap();
    let mut files = 0;
    for window in &intake.windows {
        let WindowTarget::Slice { offset, length, .. } = &window.target else { panic!("{window:?}") };
        let at = |offset: u64| usize::try_from(offset).unwrap();
        files += slice_files(&lines[at(*offset)..at(offset + length)]).unwrap().len() as u64;
    }
    assert_eq!(files, intake.files);
}
