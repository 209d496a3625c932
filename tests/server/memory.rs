//! What hostile input takes of the machine, in the process as it is built, with the environment of the installation.

#![cfg(target_os = "linux")]

use crate::support;
use std::{io, time::Duration};

use support::{
    client::{Client, request},
    served::Served,
};

/// What the installation grants: beyond it the kernel ends the process.
const LIMIT_KIB: u64 = if cfg!(debug_assertions) { 384 << 10 } else { 256 << 10 };

const JSON: &str = "content-type: application/json\r\n";
const LARGE: usize = 7 << 20;

/// Sends all of a body but its end, as far as the server takes it.
async fn stall(served: &Served) -> io::Result<Client> {
    let mut client = served.try_client().await?;
    let body = "x".repeat(LARGE);
    let whole = request("/validate", JSON, &body);
    let _ = client.try_send(&whole[..whole.len() - 1]).await;
    Ok(client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_input_stays_below_the_limit_of_the_installation() {
    let allocator = ("MALLOC_MMAP_THRESHOLD_".to_owned(), "131072".to_owned());
    let served = Served::start(|_| (vec!["--standalone".to_owned()], vec![allocator])).await;
    let empty = served.memory("VmRSS");

    // Bodies that never end, together more than a gigabyte.
    let stalled = futures::future::join_all((0..150).map(|_| stall(&served))).await;
    assert_eq!(served.get("/livez").await.status, 200);
    drop(stalled);

    // Names and lists as long as a body may be.
    let text = "a".repeat(LARGE);
    let names = format!("[{}\"b\"]", "\"a\",".repeat(LARGE / 4));
    let hostile = [
        format!(
            r#"{{"request":{{"uid":"u","name":"{text}","operation":"DELETE","resource":{{"resource":"pods"}}}}}}"#
        ),
        format!(r#"{{"request":{{"uid":"{text}"}}}}"#),
        format!(r#"{{"request":{{"uid":"u","userInfo":{{"username":"{text}","groups":{names}}}}}}}"#),
        "[".repeat(LARGE),
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"CREATE",
            "namespace":"n","name":"a","kind":{{"kind":"StatefulSet"}},"resource":{{"group":"apps","resource":"statefulsets"}},
            "object":{{"metadata":{{"name":"a","annotations":{{"stateward.dev/exempt":"{text}"}}}},"spec":{{"serviceName":"{text}"}}}}}}}}"#
        ),
    ];
    for _ in 0..8 {
        let asked = hostile.iter().map(|body| async {
            let Ok(mut client) = served.try_client().await else { return };
            let _ = client.try_send(request("/validate?timeout=5s", JSON, body)).await;
            let _ = client.try_response().await;
        });
        futures::future::join_all(asked).await;
    }

    // As many connections as a client can open.
    let idle = futures::future::join_all((0..300).map(|_| served.try_client())).await;
    assert_eq!(served.get("/livez").await.status, 200);
    drop(idle);

    let most = served.memory("VmHWM");
    println!("{empty} KiB empty, {most} KiB at most");
    assert!(most < LIMIT_KIB, "{most} KiB were resident");
    let mut client = served.client().await;
    let good = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"good"}}"#;
    let answer = support::within("an answer", client.post(good)).await;
    assert!(answer.text().contains("good") || answer.status < 500, "{answer:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!served.log().contains("panicked"), "{}", served.log());
}
