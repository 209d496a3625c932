//! A guard that does what the review asks of it.

use std::{
    borrow::Cow,
    sync::{Arc, Condvar, Mutex},
};

use axum::http::StatusCode;
use serde_json::{Value, json};
use stateward::guard::CountedFinding;
use stateward::guard::Decision;
use stateward::guard::DenialLog;
use stateward::guard::Guard;
use stateward::guard::GuardAnswer;
use stateward::guard::HttpError;
use stateward::guard::Operation;
use stateward::guard::Reply;
use stateward::guard::Resource;
use stateward::guard::ReviewFacts;
use stateward::metacontroller::Hook;

use tokio::time::Instant;

use super::PATIENCE;

/// Answers with the review's uid. `{"uid": "…", "do": "panic" | "hold" | "deny"}`
pub struct Echo(pub Hold);

/// Reviews that wait until the test lets them go.
#[derive(Clone, Default)]
pub struct Hold(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    waiting: usize,
    released: bool,
}

impl Hold {
    pub fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().waiting
    }

    pub fn release(&self) {
        self.0.0.lock().unwrap().released = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.waiting += 1;
        let (mut state, _) = self.0.1.wait_timeout_while(state, PATIENCE, |state| !state.released).unwrap();
        state.waiting -= 1;
    }
}

impl Guard for Echo {
    fn validate(&self, body: &[u8], _: Instant) -> Result<GuardAnswer, HttpError> {
        let review: Value = serde_json::from_slice(body).map_err(|error| {
            let message = format!("the body is no AdmissionReview: {error}");
            HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
        })?;
        let deny = review["do"] == "deny";
        match review["do"].as_str() {
            Some("panic") => panic!("cannot cope with {review}"),
            // A worker that blocks otherwise may be the one that drives all sockets and timers.
            Some("hold") => tokio::task::block_in_place(|| self.0.wait()),
            _ => {}
        }
        let answer = json!({"uid": review["uid"], "allowed": !deny, "bytes": body.len()});
        let reply = Reply { body: serde_json::to_vec(&answer).unwrap(), facts: facts(deny, &review) };
        match review["do"].as_str() {
            Some("wait") => Ok(GuardAnswer::Later(Box::pin(async { reply }))),
            Some("panic later") => Ok(GuardAnswer::Later(Box::pin(async {
                tokio::task::yield_now().await;
                panic!("cannot cope later");
            }))),
            _ => Ok(GuardAnswer::Now(reply)),
        }
    }

    fn mutate(&self, body: &[u8]) -> Result<Reply, HttpError> {
        match self.validate(body, Instant::now())? {
            GuardAnswer::Now(reply) => Ok(reply),
            GuardAnswer::Later(_) => panic!("mutations need no live read"),
        }
    }

    fn hook(&self, hook: Hook, body: &[u8]) -> Result<Vec<u8>, HttpError> {
        assert!(body != b"panic", "cannot cope");
        Ok(format!("{{\"hook\":\"{}\"}}", hook.path()).into_bytes())
    }
}

fn facts(deny: bool, review: &Value) -> ReviewFacts {
    let finding = CountedFinding { rule: Cow::Borrowed("quorum-even"), level: "deny" };
    ReviewFacts {
        operation: Operation::Update,
        resource: Resource::Scale,
        decision: if deny { Decision::Denied } else { Decision::Allowed },
        findings: if deny { vec![finding.clone()] } else { Vec::new() },
        refused: deny.then(|| DenialLog {
            uid: review["uid"].as_str().unwrap_or_default().to_owned(),
            user: "jane".to_owned(),
            name: "consul\n2026 ERROR forged".to_owned(),
            rules: vec![finding.rule],
            message: "4 members".to_owned(),
            ..DenialLog::default()
        }),
    }
}
