//! SQLite behind [`Database`]: one connection each. A file is in WAL mode, so that readers and the writer do not wait for each other.
use super::database::{Bracket, Database, MAX_ROWS, Row, Value};
use super::error::{Cause, StoreError};
use rusqlite::ffi::ErrorCode;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Tells our files from those of other programs: "TRKL".
const APPLICATION: i64 = 0x5452_4B4C;
/// How long another process (`trunkline token`) may hold the file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Statements kept prepared.
const PREPARED: usize = 128;

/// See the module's text.
pub(super) struct Sqlite {
    connection: Connection,
    durably: bool,
}

impl Sqlite {
    /// Opens a file, which is made, readable by its owner only, if it is not there.
    pub(super) fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let disk = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::new(Cause::Full, error.to_string()),
            _ => StoreError::new(Cause::Disk, error.to_string()),
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(disk)?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o600);
        options.open(path).map_err(disk)?;
        let connection = Connection::open(path).map_err(told)?;
        connection.busy_timeout(PATIENCE).map_err(told)?;
        let application: i64 = connection
            .query_row("PRAGMA application_id", [], |row| row.get(0))
            .map_err(told)?;
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(told)?;
        if application != APPLICATION && tables > 0 {
            let text = "it is a database of another program";
            return Err(StoreError::new(Cause::Corrupt, text));
        }
        let set = format!(
            "PRAGMA application_id = {APPLICATION};
             PRAGMA journal_mode = WAL;
             PRAGMA journal_size_limit = 67108864;"
        );
        connection.execute_batch(&set).map_err(told)?;
        Self::over(connection)
    }

    /// One that is gone with its value.
    pub(super) fn in_memory() -> Result<Sqlite, StoreError> {
        Self::over(Connection::open_in_memory().map_err(told)?)
    }

    fn over(connection: Connection) -> Result<Sqlite, StoreError> {
        let set = "PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL;";
        connection.execute_batch(set).map_err(told)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Ok(Sqlite {
            connection,
            durably: false,
        })
    }

    /// Takes no statement that writes from now on.
    pub(super) fn read_only(self) -> Result<Sqlite, StoreError> {
        let set = "PRAGMA query_only = ON";
        self.connection.execute_batch(set).map_err(told)?;
        Ok(self)
    }

    /// Whether commits wait for the disk. Not inside a transaction.
    fn set_durably(&mut self, durably: bool) -> Result<(), StoreError> {
        if self.durably != durably {
            let level = if durably { "FULL" } else { "NORMAL" };
            let set = format!("PRAGMA synchronous = {level}");
            self.connection.execute_batch(&set).map_err(told)?;
            self.durably = durably;
        }
        Ok(())
    }
}

impl Database for Sqlite {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(told)?;
        statement.execute(params_from_iter(values)).map_err(told)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(told)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values)).map_err(told)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(told)? {
            if found.len() == MAX_ROWS {
                let text = format!("a question has more than {MAX_ROWS} rows");
                return Err(StoreError::new(Cause::Defect, text));
            }
            let value = |column| row.get_ref(column).map(value_of).map_err(told);
            found.push(Row((0..columns).map(value).collect::<Result<_, _>>()?));
        }
        Ok(found)
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(told)
    }

    fn bracket(&mut self, bracket: Bracket) -> Result<(), StoreError> {
        let sql = match bracket {
            Bracket::Begin { durably } => {
                self.set_durably(durably)?;
                "BEGIN IMMEDIATE"
            }
            Bracket::BeginReading => "BEGIN",
            Bracket::Commit => "COMMIT",
            Bracket::RollBack => "ROLLBACK",
            Bracket::Save => "SAVEPOINT part",
            Bracket::Keep => "RELEASE part",
            Bracket::Forget => "ROLLBACK TO part; RELEASE part",
        };
        self.connection.execute_batch(sql).map_err(told)
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Values are never part of the text.
fn told(error: rusqlite::Error) -> StoreError {
    let cause = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Cause::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Cause::Busy,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Cause::Corrupt,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NoLargeFileSupport,
        ) => Cause::Disk,
        _ => Cause::Defect,
    };
    StoreError::new(cause, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let mut database = Sqlite::in_memory().unwrap();
        database.script("CREATE TABLE t (a, b, c, d, e)").unwrap();
        let values = [
            Value::Null,
            Value::from(-7_i64),
            Value::from(0.5),
            Value::from("a\0\u{1F600}'"),
            Value::from(vec![0_u8, 255]),
        ];
        let insert = "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)";
        assert_eq!(database.execute(insert, &values).unwrap(), 1);
        let rows = database.query("SELECT * FROM t", &[]).unwrap();
        assert_eq!(rows[0].0, values);
    }

    #[test]
    fn more_rows_than_may_be_are_an_error() {
        let mut database = Sqlite::in_memory().unwrap();
        let count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT i FROM n";
        let most = database.query(count, &[MAX_ROWS.into()]).unwrap();
        assert_eq!(most.len(), MAX_ROWS);
        assert!(database.query(count, &[(MAX_ROWS + 1).into()]).is_err());
    }
}
