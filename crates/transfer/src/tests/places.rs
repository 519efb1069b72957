//! What stands in the way at a final path (invariant I5).

use std::fs;

use skyhaul_model::{Backoff, ErrorKind};

use super::site::Fault;
use super::{Bench, noise};

#[tokio::test]
async fn what_cannot_land_is_not_fetched() {
    let bench = || Bench::new("a.dat", b"bytes");
    let mut folder = bench();
    fs::create_dir_all(folder.place()).unwrap();
    let mut file = bench();
    fs::write(file.dir.path().join("D"), "a file").unwrap();
    for bench in [&mut folder, &mut file] {
        let failure = bench.failure().await;
        assert_eq!((failure.error.kind, failure.backoff), (ErrorKind::Path, Backoff::Never));
        assert!(bench.site.log().is_empty());
    }
    assert_eq!(fs::read(file.dir.path().join("D")).unwrap(), b"a file");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_replaced_and_one_on_the_way_refused() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    fs::write(&target, "precious").unwrap();
    let mut bench = Bench::new("a.dat", b"bytes");
    fs::create_dir_all(bench.place().parent().unwrap()).unwrap();
    symlink(&target, bench.place()).unwrap();
    bench.publishes(b"bytes").await;
    assert!(fs::symlink_metadata(bench.place()).unwrap().is_file());
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    let mut bench = Bench::new("a.dat", b"bytes");
    symlink(outside.path(), bench.dir.path().join("D")).unwrap();
    assert_eq!(bench.failure().await.error.kind, ErrorKind::Path);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_turned_into_a_link_before_publishing_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let mut bench = Bench::new("a.dat", b"bytes");
    let whole = bench.whole().await;
    std::os::unix::fs::symlink(outside.path(), bench.dir.path().join("D")).unwrap();
    let error = crate::publish(&[whole]).remove(0).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Path);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn our_folder_goes_with_the_last_partial_file() {
    let mut bench = Bench::new("a.dat", b"bytes");
    bench.publishes(b"bytes").await;
    let Bench { dir, assignment, .. } = bench;
    std::sync::Arc::into_inner(assignment.root).unwrap().close();
    assert_eq!(super::names(dir.path()), ["D"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_under_a_name_of_ours_is_replaced_and_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    fs::write(&target, "precious").unwrap();
    let mut bench = Bench::new("a.dat", &noise(10_000));
    let parts = bench.parts();
    fs::create_dir_all(&parts.folder).unwrap();
    for ours in [&parts.part, &parts.meta, &parts.meta.with_added_extension("tmp")] {
        std::os::unix::fs::symlink(&target, ours).unwrap();
    }
    bench.site.then(Fault::Cut(5_000));
    bench.failure().await;
    assert!([&parts.part, &parts.meta].iter().all(|ours| fs::symlink_metadata(ours).unwrap().is_file()));
    bench.publishes(&noise(10_000)).await;
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}
