//! `volatile-data`

use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::{Container, Volume, VolumeMount};
use crate::software;

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) has no `volumeClaimTemplates`, and its pods mount no PersistentVolumeClaim by name that
    /// they can write to (one that all members share is `shared-claim`). Folders of the node (`hostPath`) do not count: they stay
    /// behind when a member moves. Nor do `emptyDir` and `ephemeral` volumes, which go with the pod. A folder of an NFS server
    /// counts where each pod mounts one of its own (`subPathExpr`). Software that votes without keeping anything (Redis Sentinel,
    /// an arbiter of MongoDB) is let be. Whatever the replica count.
    ///
    /// Where the command line, the environment or a configuration file say in which folder the members keep their data
    /// (`--data-dir`, `ZOO_DATA_DIR`, `dataDir` in zoo.cfg), a claim or another lasting volume is mounted there, above or below it,
    /// and no `emptyDir` at the folder of a log of writes (`dataLogDir` of ZooKeeper).
    /// Where they say nothing, no `emptyDir` or `ephemeral` volume is mounted at the folder in which the image keeps its data by
    /// itself (`/data` and `/datalog` of ZooKeeper, `/data/db` of MongoDB). Where an official image declares such a folder as a
    /// volume, a claim is mounted at it or below it: else containerd mounts a volume there that goes with the container, and hides
    /// a claim that is mounted above. Configuration files are read in audits, where their ConfigMaps are among the manifests. Where one may be mounted that
    /// is not known, nothing is said of folders.
    ///
    /// ## Why
    ///
    /// A member promises on disk whom it has voted for and which writes it has accepted. One that comes back without its disk has
    /// forgotten both, votes again, and may agree to a history that contradicts the one it has confirmed: acknowledged writes are
    /// lost although a majority was up all the time. When a majority restarts at once, as after a power failure or an edit of the
    /// template with too little patience, all data is gone.
    ///
    /// ## How to fix
    ///
    /// Give each member a claim of its own and mount it where the software keeps its data. `volumeClaimTemplates` cannot be added
    /// to a set that exists: delete it with `--cascade=orphan`, create it again with them, and replace the pods one by one, each
    /// after the one before has caught up.
    ///
    /// Where the data is meant to be local to the node, use a storage class of local volumes: the scheduler then brings a member
    /// back to its disk. A group that keeps nothing (a cache of sessions, a laboratory) says so with `stateward.dev/exempt:
    /// volatile-data` and a reason.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       volumes: [{name: data, emptyDir: {}}]
    ///       containers:
    ///       - name: etcd
    ///         image: "quay.io/coreos/etcd:v3.5.9"
    ///         volumeMounts: [{name: data, mountPath: /var/lib/etcd}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers:
    ///       - name: etcd
    ///         image: "quay.io/coreos/etcd:v3.5.9"
    ///         volumeMounts: [{name: data, mountPath: /var/lib/etcd}]
    ///   volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
    /// ```
    "volatile-data": "members have no storage of their own",
    classes: [Quorum],
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let volumes = &at.set.spec.template.spec.volumes;
    let keeps_nothing = at.class.software.as_ref().is_some_and(|software| software.keeps_no_data);
    if keeps_nothing || at.set.is_arbiter() {
        return;
    }
    let is_kept = |volume: &Volume| volume.persistent_volume_claim.as_ref().is_some_and(|c| !c.read_only);
    if !at.set.spec.volume_claim_templates.is_empty()
        || volumes.iter().any(is_kept)
        || volumes.iter().any(|volume| is_nfs_folder_per_pod(at, volume))
    {
        check_mounts(at, out);
        return;
    }
    let on_node = volumes.iter().any(|volume| volume.host_path);
    let (place, message) = if on_node {
        (
            "/spec/template/spec/volumes",
            "no member has a claim: data in a hostPath stays on its node, so a member that moves has forgotten its data and \
             its vote, or finds what another left there",
        )
    } else {
        (
            "/spec/volumeClaimTemplates",
            "no member has a claim, so one whose pod is replaced has forgotten its data and its vote, and confirmed writes \
             can be lost",
        )
    };
    let remedy = "add spec.volumeClaimTemplates and mount the claim where the members keep their data";
    out.add(FieldPlace::in_set(place), message, remedy).keyed("volatile");
}

/// There is storage, but the folder that the members keep their data in may not be on it.
fn check_mounts(at: &SetContext<'_>, out: &mut Violations) {
    let set = software::with_texts(at.set);
    let containers = &set.spec.template.spec.containers;
    let Some(software) = at.class.software.as_ref() else { return };
    let Some(container) = containers.get(software.index) else { return };
    let Some(told) = container.data_folders() else { return };
    let fault = match told.first() {
        Some(folder) if !is_any_kept(at, container, &told) => {
            Some((*folder, format!("in {folder}, where no claim is mounted")))
        }
        Some(_) => container.log_folders().find_map(|folder| {
            let kind = volatile_at(at, container, folder)?;
            Some((folder, format!("with a log of writes in {folder}, and {kind} is mounted there")))
        }),
        None => software.data_folders.iter().find_map(|folder| {
            let kind = volatile_at(at, container, folder)?;
            Some((
                &**folder,
                format!("in {folder} unless they are told otherwise, and {kind} is mounted there"),
            ))
        }),
    };
    let by_image = || in_image_volume(at, container, &software.data_folders).filter(|_| told.is_empty());
    let fault = fault.or_else(|| {
        let (folder, above) = by_image()?;
        let why = match above {
            Some(mount) => format!(
                "the image has a volume of its own, which hides what is mounted at {}",
                mount.folder()
            ),
            None => {
                "nothing is mounted but a volume of the image's own, which is new at each start of the container".to_owned()
            }
        };
        Some((folder, format!("in {folder} unless they are told otherwise, where {why}")))
    });
    let Some((folder, where_it_is)) = fault.filter(|_| !software::may_be_configured(container)) else {
        return;
    };
    let message = format!(
        "the members keep their data {where_it_is}, so one whose pod is replaced has forgotten its data and its vote, and confirmed \
         writes can be lost"
    );
    let is_beside = container.volume_mounts.iter().any(|mount| {
        let mut others = software.data_folders.iter().filter(|other| ***other != *folder);
        others.any(|other| mount.holds(other))
    });
    let how = if is_beside { ", with a subPath if the claim is mounted elsewhere too" } else { "" };
    let remedy = format!("mount the claim at {folder} in container {}{how}", container.name);
    let path = format!("/spec/template/spec/containers/{}/volumeMounts", software.index);
    out.add(FieldPlace::in_set(path), message, remedy).keyed("volatile");
}

/// Whether one of the folders is on a volume that lasts.
fn is_any_kept(at: &SetContext<'_>, container: &Container, folders: &[&str]) -> bool {
    let mut lasting = container
        .volume_mounts
        .iter()
        .filter(|mount| !volume(at, &mount.name).is_some_and(Volume::is_volatile));
    lasting.any(|mount| folders.iter().any(|folder| mount.holds(folder)))
        || !container.volume_devices.is_empty()
}

/// The kind of volume that is mounted at exactly this folder where it goes with the pod and no part of the folder lasts.
fn volatile_at(at: &SetContext<'_>, container: &Container, folder: &str) -> Option<&'static str> {
    let mounted = container.volume_mounts.iter().find(|mount| mount.folder() == folder)?;
    let kind = match volume(at, &mounted.name)? {
        Volume { empty_dir: true, .. } => "an emptyDir",
        Volume { ephemeral: true, .. } => "an ephemeral volume",
        _ => return None,
    };
    let mut below = container.volume_mounts.iter().filter(|mount| mount.is_below(folder));
    below.all(|mount| volume(at, &mount.name).is_some_and(Volume::is_volatile)).then_some(kind)
}

/// A folder of data that the image declares as a volume and where nothing is mounted, nor at a part of it: the container runtime
/// mounts a volume there that goes with the container. With the lasting mount above it, which that hides. A script may move the data.
/// Where the container mounts no claim at all, that is said by `claim-not-mounted`.
fn in_image_volume<'a>(
    at: &SetContext<'_>,
    container: &'a Container,
    folders: &'a [Box<str>],
) -> Option<(&'a str, Option<&'a VolumeMount>)> {
    let mut words = container.command.iter().chain(&container.args);
    let is_told_a_log = container.log_folders().next().is_some();
    if is_told_a_log || words.any(|word| word.contains(char::is_whitespace) || word.ends_with(".sh")) {
        return None;
    }
    let mounts = &container.volume_mounts;
    if !mounts.iter().any(|mount| is_claim(at, mount)) {
        return None;
    }
    let is_mounted =
        |folder: &str| mounts.iter().any(|mount| mount.folder() == folder || mount.is_below(folder));
    let folders: Vec<&str> =
        folders.iter().map(|folder| &**folder).filter(|folder| !is_mounted(folder)).collect();
    let lasts = |mount: &&VolumeMount| !volume(at, &mount.name).is_some_and(Volume::is_volatile);
    // The catalogue is asked about the image only where it may matter.
    let mut declared = (!folders.is_empty()).then(|| software::image_volumes(container))?;
    let folder = declared.find_map(|declared| folders.iter().copied().find(|folder| *folder == declared))?;
    Some((folder, mounts.iter().filter(lasts).find(|mount| mount.holds(folder))))
}

/// The volume of the template that a mount names; `None` where that is a claim of the pod's own.
fn volume<'a>(at: &SetContext<'a>, name: &str) -> Option<&'a Volume> {
    let is_claim = at.set.spec.volume_claim_templates.iter().any(|claim| *claim.metadata.name == *name);
    at.set.spec.template.spec.volumes.iter().find(|volume| !is_claim && *volume.name == *name)
}

fn is_claim(at: &SetContext<'_>, mount: &VolumeMount) -> bool {
    volume(at, &mount.name).is_none_or(|volume| volume.persistent_volume_claim.is_some())
}

fn is_nfs_folder_per_pod(at: &SetContext<'_>, volume: &Volume) -> bool {
    let mut containers = at.set.spec.template.spec.containers.iter();
    let has_own = |container: &Container| {
        let mut mounts = container.volume_mounts.iter();
        mounts.any(|mount| mount.name == volume.name && !mount.read_only && container.has_own_folder(mount))
    };
    volume.nfs && containers.any(has_own)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::testing::set;
    use super::*;
    use crate::model::Software;

    #[test]
    fn without_a_claim_that_can_be_written() {
        let claim = |read_only| json!([{"name": "data", "persistentVolumeClaim": {"claimName": "zk", "readOnly": read_only}}]);
        for (templates, volumes, found) in [
            (json!(null), json!(null), 1),
            (json!([]), json!([{"name": "data", "emptyDir": {}}]), 1),
            (json!([]), json!([{"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}]), 1),
            (json!([]), json!([{"name": "data", "hostPath": {"path": "/data"}}]), 1),
            (json!([]), claim(true), 1),
            (json!([]), claim(false), 0),
            (json!([{"metadata": {"name": "data"}}]), json!([{"name": "tmp", "emptyDir": {}}]), 0),
        ] {
            let scene = set(
                json!({"spec": {"volumeClaimTemplates": templates, "template": {"spec": {"volumes": volumes}}}}),
            );
            for replicas in [0, 1, 3] {
                assert_eq!(
                    scene.clone().scaled_to(replicas).found(&RULE).len(),
                    found,
                    "{templates} {volumes}"
                );
            }
        }
    }

    #[test]
    fn a_folder_of_an_nfs_server_for_each_pod_is_kept() {
        for (expression, found) in [(json!("$(POD_NAME)"), 0), (json!("data"), 1), (json!(null), 1)] {
            let mounts = json!([{"name": "data", "mountPath": "/data", "subPathExpr": expression}]);
            let scene = set(json!({"spec": {"template": {"spec": {
                "containers": [{"name": "zk", "volumeMounts": mounts}],
                "volumes": [{"name": "data", "nfs": {"server": "nfs", "path": "/"}}]}}}}));
            assert_eq!(scene.found(&RULE).len(), found, "{expression}");
        }
    }

    #[test]
    fn the_folder_of_the_data_is_on_the_claim() {
        let found = |args: Value, mounts: Value| {
            let scene = set(json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"spec": {"containers": [{"name": "etcd", "args": args, "volumeMounts": mounts}],
                    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "other", "csi": {"driver": "x"}}]}}}}));
            let data_folders = Arc::from(["/data".into(), "/datalog".into()]);
            let scene =
                scene.software(Software { name: "etcd".to_owned(), data_folders, ..Software::default() });
            scene.found(&RULE).iter().map(|violation| violation.message.clone()).collect::<String>()
        };
        let at = |name: &str, path: &str| json!([{"name": name, "mountPath": path}]);
        let flag = json!(["--data-dir=/var/lib/etcd"]);
        assert!(found(flag.clone(), at("data", "/backup")).contains("in /var/lib/etcd, where no claim"));
        assert!(!found(flag.clone(), at("tmp", "/var/lib/etcd")).is_empty());
        assert!(!found(flag.clone(), json!([])).is_empty());
        for (name, path) in
            [("data", "/var/lib"), ("data", "/var/lib/etcd/member"), ("other", "/var/lib/etcd")]
        {
            assert_eq!(found(flag.clone(), at(name, path)), "", "{name} {path}");
        }
        assert_eq!(found(json!(["--data-dir=$(DIR)"]), at("tmp", "/data")), "");
        assert_eq!(found(json!([]), at("data", "/backup")), "");
        assert_eq!(
            found(
                flag,
                json!([{"name": "data", "mountPath": "/var/lib/etcd"}, {"name": "tmp", "mountPath": "/data"}])
            ),
            ""
        );
        for (name, path, is_found) in [
            ("tmp", "/data", true),
            ("tmp", "/datalog/", true),
            ("tmp", "/data/tmp", false),
            ("tmp", "/", false),
            ("data", "/data", false),
            ("other", "/data", false),
        ] {
            let said = found(json!([]), at(name, path));
            assert_eq!(said.contains("an emptyDir is mounted there"), is_found, "{name} {path}: {said}");
        }
        let both =
            json!([{"name": "tmp", "mountPath": "/data"}, {"name": "data", "mountPath": "/data/version-2"}]);
        assert_eq!(found(json!([]), both), "");
    }

    #[test]
    fn a_volume_of_the_image_hides_what_is_mounted_above() {
        let found = |image: &str, command: Value, path: &str| {
            let mounts = json!([{"name": "data", "mountPath": path}]);
            let container =
                json!({"name": "mongo", "image": image, "command": command, "volumeMounts": mounts});
            let scene = set(json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"spec": {"containers": [container]}}}}));
            let data_folders = Arc::from(["/data/db".into(), "/bitnami/mongodb".into(), "/datalog".into()]);
            let scene = scene.software(Software { data_folders, ..Software::default() });
            scene.found(&RULE).iter().map(|violation| violation.message.clone()).collect::<String>()
        };
        for image in ["mongo:7", "docker.io/library/mongo", "public.ecr.aws/docker/library/mongo:7@sha256:0"]
        {
            let said = found(image, json!(["mongod", "--replSet", "rs0"]), "/data/");
            assert!(
                said.contains("a volume of its own, which hides what is mounted at /data,"),
                "{image}: {said}"
            );
        }
        assert!(
            found("mongo:7", json!([]), "/mnt")
                .contains("in /data/db unless they are told otherwise, where nothing")
        );
        assert!(found("zookeeper:3.9.3", json!([]), "/data").contains("in /datalog unless"));
        for (image, command, path) in [
            ("mongo:7", json!([]), "/data/db"),
            ("mongo:7", json!([]), "/data/db/journal"),
            ("example.com/mongo:7", json!([]), "/mnt"),
            ("mongo:7", json!(["sh", "-c", "exec mongod --config /tmp/x"]), "/data"),
            ("mongo:7", json!(["/start.sh"]), "/data"),
            ("mongo:7", json!(["mongod", "--dbpath", "/data"]), "/data"),
            ("example.com/mongo:7", json!([]), "/data"),
            ("bitnami/mongodb:7", json!([]), "/data"),
        ] {
            assert_eq!(found(image, command.clone(), path), "", "{image} {command} {path}");
        }
    }

    #[test]
    fn says_what_a_folder_of_the_node_is_worth() {
        let local = json!([{"name": "tmp", "emptyDir": {}}, {"name": "data", "hostPath": {"path": "/data"}}]);
        let scene = set(json!({"spec": {"template": {"spec": {"volumes": local}}}}));
        assert!(scene.says(&RULE).contains("stays on its node"));
        assert!(!set(json!({})).says(&RULE).contains("hostPath"));
    }
}
