//! What the store asks of a database: statements with values, inside transactions. SQLite is behind it; tests may put another.
use super::error::{Cause, StoreError};
use serde_json::Value as Json;

/// The most rows that one question answers; who wants more asks page by page.
pub const MAX_ROWS: usize = 10_000;

/// One value of a statement or row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number; times are milliseconds since 1970.
    Integer(i64),
    /// A fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// Octets.
    Bytes(Vec<u8>),
}

/// How a transaction goes on. Savepoints do not nest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    /// A transaction that writes. `durably`: what it commits outlives a loss of power, and not only the end of the process.
    Begin {
        /// See above.
        durably: bool,
    },
    /// One that reads: all of it sees the same state.
    BeginReading,
    /// Everything since `Begin` counts.
    Commit,
    /// Nothing since `Begin` counts.
    RollBack,
    /// A part of a transaction that may be taken back alone.
    Save,
    /// The part counts, if the transaction does.
    Keep,
    /// The part does not count.
    Forget,
}

/// See the module's text. Called by one thread at a time, which may block.
pub trait Database: Send {
    /// Runs one statement; returns the number of rows it changed. `?1` in it is the first value.
    ///
    /// # Errors
    /// Those of the disk, and statements that are wrong.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<usize, StoreError>;

    /// The rows of one statement: at most [`MAX_ROWS`].
    ///
    /// # Errors
    /// As [`Database::execute`]; more rows than that.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Several statements without values, for migrations.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn script(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Begins and ends transactions and their parts.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn bracket(&mut self, bracket: Bracket) -> Result<(), StoreError>;

    /// Whether a transaction is open: a full disk may have ended it.
    fn in_transaction(&self) -> bool;
}

/// One row. Columns count from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// # Errors
    /// The column is no text.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.maybe_text(column)?
            .ok_or_else(|| odd(column, "no text"))
    }

    /// # Errors
    /// The column is neither text nor null.
    pub fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(Value::Null) => Ok(None),
            _ => Err(odd(column, "no text")),
        }
    }

    /// # Errors
    /// The column is no whole number.
    pub fn integer(&self, column: usize) -> Result<i64, StoreError> {
        self.maybe_integer(column)?
            .ok_or_else(|| odd(column, "no number"))
    }

    /// # Errors
    /// The column is neither a whole number nor null.
    pub fn maybe_integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(odd(column, "no number")),
        }
    }

    /// # Errors
    /// The column holds no octets.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        match self.0.get(column) {
            Some(Value::Bytes(bytes)) => Ok(bytes.clone()),
            _ => Err(odd(column, "no octets")),
        }
    }

    /// # Errors
    /// The column is no JSON text.
    pub fn json(&self, column: usize) -> Result<Json, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| odd(column, "no JSON"))
    }
}

fn odd(column: usize, what: &str) -> StoreError {
    StoreError::new(Cause::Corrupt, format!("column {column} is {what}"))
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Value {
        Value::Text(json.to_string())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::from(number as u64)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Integer(flag.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bytes(bytes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
