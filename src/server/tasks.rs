//! The tasks the server consists of: none may end unnoticed.

use std::future::Future;

use tokio::{sync::oneshot, task::JoinSet};

use super::ServeError;

/// Tasks that must run as long as the server does. Dropping this ends them all.
pub(super) struct Tasks {
    pub(super) webhook: ServerTask,
    pub(super) ops: ServerTask,
    /// Dropped, it ends the ops listener, which has a thread of its own.
    pub(super) keep_ops: oneshot::Sender<()>,
    pub(super) certificates: ServerTask,
}

impl Tasks {
    /// Ends the ops listener and waits until its port is free.
    pub(super) async fn end_ops(self) -> Result<(), ServeError> {
        let Self { mut ops, keep_ops, .. } = self;
        drop(keep_ops);
        ops.done().await
    }

    /// Waits for the event; a task that ends before it is an error.
    pub(super) async fn until(&mut self, event: impl Future<Output = ()>) -> Result<(), ServeError> {
        tokio::select! {
            () = event => Ok(()),
            error = self.webhook.too_early() => Err(error),
            error = self.ops.too_early() => Err(error),
            error = self.certificates.too_early() => Err(error),
        }
    }
}

pub(super) struct ServerTask {
    name: &'static str,
    task: JoinSet<()>,
}

impl ServerTask {
    pub(super) fn spawn(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut task = JoinSet::new();
        task.spawn(work);
        Self { name, task }
    }

    /// Waits until the work is done; an error where it panicked.
    pub(super) async fn done(&mut self) -> Result<(), ServeError> {
        match self.task.join_next().await {
            Some(Err(error)) => Err(self.died(error.to_string())),
            Some(Ok(())) | None => Ok(()),
        }
    }

    async fn too_early(&mut self) -> ServeError {
        match self.done().await {
            Ok(()) => self.died("it ended".to_owned()),
            Err(error) => error,
        }
    }

    fn died(&self, reason: String) -> ServeError {
        ServeError::Died { task: self.name, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::{ServerTask, Tasks, oneshot};

    fn tasks(certificates: ServerTask) -> Tasks {
        let (keep_ops, _) = oneshot::channel();
        let (webhook, ops) = (ServerTask::spawn("webhook", pending()), ServerTask::spawn("ops", pending()));
        Tasks { webhook, ops, keep_ops, certificates }
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_an_error_that_names_it() {
        let mut ended = tasks(ServerTask::spawn("refresher", ready(())));
        let error = ended.until(pending()).await.unwrap_err().to_string();
        assert_eq!(error, "the refresher stopped working: it ended");
        let mut panicked = tasks(ServerTask::spawn("refresher", async { panic!("oh") }));
        let error = panicked.until(pending()).await.unwrap_err().to_string();
        assert!(error.starts_with("the refresher stopped working: task"), "{error}");
    }

    #[tokio::test]
    async fn the_event_ends_the_wait() {
        tasks(ServerTask::spawn("refresher", pending())).until(ready(())).await.unwrap();
    }
}
