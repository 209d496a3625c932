//! Denials of the fixtures of all rules, confirmed by live reads of the same objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use stateward::cluster::Kind;
use stateward::guard::Guard;
use stateward::guard::GuardAnswer;
use stateward::rules;
use tokio::time::Instant;

use crate::confirm::{Court, court_of};
use crate::{case, support};

/// Whether the change is allowed and what is said of it, and whether the API server was asked.
async fn said(court: &Court, review: &Value) -> (bool, BTreeSet<String>, bool) {
    let body = review.to_string();
    let deadline = Instant::now() + support::PATIENCE;
    let (reply, asked) = match court.judge.validate(body.as_bytes(), deadline).unwrap() {
        GuardAnswer::Now(reply) => (reply, false),
        GuardAnswer::Later(reply) => (support::within("an answer", reply).await, true),
    };
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    let response = &answer["response"];
    let strings = |values: &Value| -> Vec<String> {
        let values = values.as_array().into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let causes = response["status"]["details"]["causes"].as_array().into_iter().flatten();
    let causes = causes.filter_map(|cause| cause["message"].as_str()).map(str::to_owned);
    (response["allowed"] == true, causes.chain(strings(&response["warnings"])).collect(), asked)
}

/// A guard whose snapshot and whose API server have the objects of a fixture.
async fn court_with(text: &str) -> Court {
    let court = court_of(case::strict(), &[]).await;
    for object in case::objects(case::split_header(text).1) {
        let known = Kind::ALL.into_iter().find(|kind| object["kind"] == *kind.name());
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        court.api.put_object("namespaces", "", namespace, json!({}));
        if let (Some(kind), Some(name)) = (known, object["metadata"]["name"].as_str()) {
            court.api.put_object(kind.facts().plural, namespace, name, object.clone());
        }
    }
    court.judge.cluster.store(Arc::new(case::cluster(text)));
    court
}

#[tokio::test]
async fn a_confirmed_denial_says_what_an_audit_says() {
    let (mut confirmed, mut wrong) = (0, String::new());
    // What passes with time is judged by the pods, which are read for each review and not known to an audit.
    for rule in rules::ALL.iter().filter(|rule| !rule.passes_with_time) {
        for fixture in case::fixtures(rule.id) {
            for review in case::reviews(&fixture.text) {
                let mut court = court_with(&fixture.text).await;
                let (allowed, live, asked) = said(&court, &review).await;
                court.judge.confirmer = None;
                let (is_right, judged, _) = said(&court, &review).await;
                if is_right || !asked {
                    continue;
                }
                confirmed += 1;
                if allowed || live != judged {
                    wrong +=
                        &format!("{}/{}\n  audit: {judged:#?}\n  live: {live:#?}\n", rule.id, fixture.name);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(confirmed > 50, "{confirmed}");
}
