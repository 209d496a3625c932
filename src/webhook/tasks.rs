//! The tasks the shell consists of: none may end unnoticed.

use std::future::Future;

use tokio::task::JoinSet;

use super::ServeError;

/// What must run as long as the shell does. Dropping it ends everything.
pub(super) struct Tasks {
    pub(super) webhook: Task,
    pub(super) ops: Task,
    pub(super) certificates: Task,
}

impl Tasks {
    /// Waits for the event; a task that ends before it is an error.
    pub(super) async fn until(&mut self, event: impl Future<Output = ()>) -> Result<(), ServeError> {
        tokio::select! {
            () = event => Ok(()),
            error = self.webhook.end() => Err(error),
            error = self.ops.end() => Err(error),
            error = self.certificates.end() => Err(error),
        }
    }
}

pub(super) struct Task {
    name: &'static str,
    task: JoinSet<()>,
}

impl Task {
    pub(super) fn spawn(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut task = JoinSet::new();
        task.spawn(work);
        Self { name, task }
    }

    pub(super) async fn end(&mut self) -> ServeError {
        let how = match self.task.join_next().await {
            Some(Err(error)) => format!("died: {error}"),
            Some(Ok(())) | None => "ended".to_owned(),
        };
        ServeError::Died { task: self.name, how }
    }
}
