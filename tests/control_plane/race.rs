//! Many applications that are created, changed, scaled and deleted at the same time, in every order: nothing is refused, and
//! nothing hangs.

use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::guard::{APPLICATIONS, Dice};
use crate::kube_api::{Api, Reply, example, path_of};
use crate::stage::{Stage, set_of};

/// How many applications there are; `STATEWARD_RACE` says another number.
const MANY: usize = 60;
/// How many act at the same moment.
const AT_ONCE: usize = 16;
/// Far longer than an answer takes.
const SLOW: Duration = Duration::from_secs(9);

/// One application of the examples, in a namespace where there may be others.
struct Application {
    objects: Vec<Value>,
    dice: Dice,
    /// Whether its objects come and go at once, and not one after the other.
    is_hasty: bool,
}

impl Application {
    fn shuffled(&mut self) -> Vec<Value> {
        self.dice.shuffle(&mut self.objects);
        self.objects.clone()
    }

    async fn each(&mut self, ask: impl AsyncFn(&Value) -> Reply) {
        let objects = self.shuffled();
        let asked = async |object: &Value| {
            let start = Instant::now();
            let reply = ask(object).await;
            let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
            assert!(reply.status < 300, "{what}: {reply:?}");
            assert!(start.elapsed() < SLOW, "{what} took {:?}", start.elapsed());
        };
        if self.is_hasty {
            join_all(objects.iter().map(asked)).await;
            return;
        }
        for object in &objects {
            asked(object).await;
        }
    }

    async fn live(mut self, api: Api) {
        self.each(async |object| api.apply(object).await).await;
        let set = set_of(&self.objects).clone();
        let (path, name) = (path_of(&set), set["metadata"]["name"].as_str().unwrap());
        let labels = json!({"metadata": {"labels": {"touched": "yes"}}});
        api.merge(&path, &labels).await.allowed();
        // The members of a consensus group would have to be ready.
        let counts: &[i32] = match name {
            "nginx" => &[4, 2, 3],
            "rg" => &[3, 1],
            "my-singleton" => &[0, 1],
            _ => &[3],
        };
        for count in counts {
            let namespace = set["metadata"]["namespace"].as_str().unwrap();
            api.scale(namespace, name, *count).await.allowed();
        }
        self.each(async |object| api.delete(&path_of(object), &json!({})).await).await;
    }
}

async fn race(stage: Stage) {
    let many = std::env::var("STATEWARD_RACE").map_or(MANY, |number| number.parse().unwrap());
    let mut namespaces = Vec::new();
    for number in 0..many.div_ceil(APPLICATIONS.len()) {
        namespaces.push(stage.namespace(&number.to_string()).await);
    }
    let applications = (0..many).map(|number| Application {
        objects: example(APPLICATIONS[number % APPLICATIONS.len()], &namespaces[number / APPLICATIONS.len()]),
        dice: Dice(number as u64 + 1),
        is_hasty: (number / APPLICATIONS.len()) % 2 == 1,
    });
    stream::iter(applications)
        .for_each_concurrent(AT_ONCE, |application| application.live(stage.api.clone()))
        .await;
    for namespace in &namespaces {
        stage.api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await.allowed();
    }
    for namespace in &namespaces {
        stage.until_gone(&format!("/api/v1/namespaces/{namespace}")).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn applications_race_in_baseline() {
    if let Some(stage) = Stage::set_with_controllers("race-baseline", "baseline").await {
        race(stage).await;
    }
}

#[tokio::test]
async fn applications_race_in_strict() {
    if let Some(stage) = Stage::set_with_controllers("race-strict", "strict").await {
        race(stage).await;
    }
}
