//! What can go wrong with a transaction, by what the caller should do.

use banyan_kernel::Answer;

/// Why a transaction came to nothing. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or stopped us: the same transaction may succeed later.
    #[error("the database cannot do it now: {0}")]
    Unavailable(String),
    /// The module is closed (being moved or restored) for longer than a write waits.
    #[error("the module is closed for writing; try again later")]
    Closed,
    /// What was decided from has changed meanwhile, or another owner has taken over: start again.
    #[error("somebody else was first: {0}")]
    Conflict(String),
    /// The statement itself is at fault: it will fail again with the same input.
    #[error("the statement failed: {0}")]
    Statement(sqlx::Error),
}

impl StoreError {
    /// Whether trying the same again later may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Statement(_))
    }
}

impl StoreError {
    /// Whether a row holds what cannot be read as what it should be: it does not decode, or PostgreSQL itself can make nothing of
    /// it (class 22, data exceptions).
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
            sqlx::Error::Database(inner) => inner.code().is_some_and(|code| code.starts_with("22")),
            _ => false,
        }
    }

    /// What it means to who asks for facts about what is there: only what cannot be read is `Broken`, everything else passes.
    #[must_use]
    pub fn of_facts<T>(self) -> Answer<T> {
        let why = self.to_string();
        if self.is_unreadable() { Answer::Broken(why) } else { Answer::Unavailable(why) }
    }
}

/// What a failed transaction means to who asked for it.
impl<T> From<StoreError> for Answer<T> {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        if error.is_transient() { Self::Unavailable(why) } else { Self::Broken(why) }
    }
}

/// PostgreSQL's classes of errors that are nobody's fault and pass: connection (08), rolled back by
/// serialisation or deadlock (40), out of resources (53), ended by an operator or time limit (57), system
/// (58), and single codes: `lock_not_available`, `idle_in_transaction_session_timeout`, read-only.
fn passes(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "25P03" | "25006" | "25P02")
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => match inner.code() {
                Some(code) if passes(&code) => Self::Unavailable(format!("{} ({code})", inner.message())),
                _ => Self::Statement(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            _ => Self::Statement(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One garbled row is named and hides nothing else; whatever else goes wrong ends the whole audit, and says nothing about any row.
    #[test]
    fn facts_are_broken_only_where_they_cannot_be_read() {
        let is_broken = |error: StoreError| matches!(error.of_facts::<()>(), Answer::Broken(_));
        assert!(is_broken(StoreError::Statement(sqlx::Error::Decode("no state".into()))));
        assert!(!is_broken(StoreError::Statement(sqlx::Error::RowNotFound)));
        assert!(!is_broken(StoreError::Unavailable("away".to_owned())));
        assert!(!is_broken(StoreError::Closed));
    }
}
