//! The store as its callers see it: what counts, what does not, and what a sick disk does.
use super::*;
use std::sync::Barrier;

fn table(store: &Store) {
    let made = store.write_blocking(|database| database.script("CREATE TABLE t (x)"));
    made.unwrap();
}

fn insert(database: &mut dyn Database, x: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO t VALUES (?1)";
    database.execute(sql, &[x.into()]).map(|_| ())
}

async fn all(store: &Store) -> Vec<i64> {
    let rows = store.read(|database| database.query("SELECT x FROM t ORDER BY rowid", &[]));
    let rows = rows.await.unwrap();
    rows.iter().map(|row| row.integer(0).unwrap()).collect()
}

/// Keeps the writer busy until the barrier is passed a second time, so that what is posted meanwhile becomes one batch.
fn hold(store: &Store) -> Arc<Barrier> {
    let barrier = Arc::new(Barrier::new(2));
    let held = barrier.clone();
    store.post(move |_| {
        held.wait();
        held.wait();
        Ok(())
    });
    barrier.wait();
    barrier
}

#[tokio::test]
async fn what_fails_or_panics_takes_only_itself_out_of_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    table(&store);
    let gate = hold(&store);
    store.post(|database| insert(database, 1));
    store.post(|database| {
        insert(database, 2)?;
        database.execute("nonsense", &[]).map(|_| ())
    });
    store.post(|database| {
        insert(database, 3)?;
        panic!("a defect");
    });
    store.post(|database| insert(database, 4));
    gate.wait();
    store.flush().await;
    assert_eq!(all(&store).await, [1, 4]);
    let failed = store.counters().failed_by();
    assert!(failed.contains(&("defect", 2)), "{failed:?}");
    // The reader writes nothing.
    let refused = store.read(|database| insert(database, 5)).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn what_was_written_is_there_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    {
        let store = Store::open(&path).unwrap();
        table(&store);
        store.post(|database| insert(database, 7));
        // Posted work is done before the store ends.
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(all(&store).await, [7]);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_full_queue_refuses_and_counts() {
    let store = Store::in_memory().unwrap();
    table(&store);
    let gate = hold(&store);
    let mut taken = 0;
    while store.post(|database| insert(database, 1)) {
        taken += 1;
    }
    assert_eq!(taken, QUEUE);
    let refused = store.write(|_| Ok(())).await.unwrap_err();
    assert_eq!(refused.cause, Cause::QueueFull);
    gate.wait();
    store.flush().await;
    let failed = store.counters().failed_by();
    assert!(failed.contains(&("queue-full", 2)), "{failed:?}");
}

#[tokio::test]
async fn a_full_disk_is_told_with_the_files_name_and_over_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("small.db")).unwrap();
    table(&store);
    // SQLite's own limit fails as a full disk does.
    let pages = |count: i64| {
        store.write_blocking(move |database| {
            let set = format!("PRAGMA max_page_count = {count}");
            database.query(&set, &[]).map(|_| ())
        })
    };
    pages(1).unwrap();
    let big = "x".repeat(100_000);
    let write = || {
        let big = big.clone();
        store.write(move |database| {
            insert(database, 1)?;
            database.execute("INSERT INTO t VALUES (?1)", &[big.into()])
        })
    };
    let error = write().await.unwrap_err();
    assert_eq!(error.cause, Cause::Full, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("small.db: the disk is full") && text.contains("[store] file"),
        "{text}"
    );
    assert_eq!(all(&store).await, [0; 0]);
    pages(10_000).unwrap();
    write().await.unwrap();
    assert!(store.counters().failed_by().contains(&("disk-full", 1)));
}

#[test]
fn what_is_no_store_of_ours_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "no database at all, but long enough to look at. ".repeat(50),
    )
    .unwrap();
    let foreign = folder.path().join("foreign.db");
    let other = rusqlite::Connection::open(&foreign).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    for path in [&text, &foreign] {
        let error = Store::open(path).unwrap_err();
        assert_eq!(error.cause, Cause::Corrupt, "{error}");
        assert!(
            error.to_string().contains(&*path.display().to_string()),
            "{error}"
        );
    }
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.cause, Cause::Disk, "{error}");
}

#[tokio::test]
async fn a_page_that_rots_fails_its_question_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    {
        let store = Store::open(&path).unwrap();
        table(&store);
        let rows = store.write_blocking(|database| {
            for x in 0..2000 {
                insert(database, x)?;
            }
            Ok(())
        });
        rows.unwrap();
    }
    let mut file = std::fs::read(&path).unwrap();
    let length = file.len();
    file[length - 8192..].fill(0xA5);
    std::fs::write(&path, &file).unwrap();
    let store = Store::open(&path).unwrap();
    let read = store
        .read(|database| database.query("SELECT sum(x) FROM t", &[]))
        .await;
    assert_eq!(read.unwrap_err().cause, Cause::Corrupt);
    let key = store
        .put_document("t", "k", &serde_json::json!(1), None)
        .await;
    assert!(key.is_ok(), "{key:?}");
}
