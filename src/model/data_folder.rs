//! The data folders of a container, as far as its command line and environment name them.

use super::{Container, MountedFile, VolumeMount};

const FLAGS: [&str; 11] = [
    "--data-dir",
    "-data-dir",
    "--datadir",
    "--dbpath",
    "--store_dir",
    "-sd",
    "--fs_data_dirs",
    "--database.directory",
    "-Epath.data",
    // From the ZooKeeper image of Kubernetes' tutorial.
    "--data_dir",
    "--data_log_dir",
];
const VARIABLES: [&str; 21] = [
    "ETCD_DATA_DIR",
    "ZOO_DATA_DIR",
    "ZOO_DATA_LOG_DIR",
    "ZOOKEEPER_DATA_DIR",
    "ZOOKEEPER_DATA_LOG_DIR",
    "KAFKA_LOG_DIR",
    "KAFKA_LOG_DIRS",
    "KAFKA_CFG_LOG_DIR",
    "KAFKA_CFG_LOG_DIRS",
    "KAFKA_METADATA_LOG_DIR",
    "KAFKA_CFG_METADATA_LOG_DIR",
    "CONSUL_DATA_DIR",
    "VAULT_RAFT_PATH",
    "BAO_RAFT_PATH",
    "MONGODB_DATA_DIR",
    "RABBITMQ_MNESIA_BASE",
    "RABBITMQ_MNESIA_DIR",
    "RABBITMQ_DATA_DIR",
    "ELASTICSEARCH_DATA_DIR_LIST",
    "ES_SETTING_PATH_DATA",
    "path.data",
];
/// The variables for a separate log of writes: without it, a member loses everything it confirmed since its last snapshot.
const LOG_VARIABLES: [&str; 2] = ["ZOO_DATA_LOG_DIR", "ZOOKEEPER_DATA_LOG_DIR"];
const LOG_SETTINGS: [&str; 1] = ["dataLogDir"];
/// Settings of configuration files, by the names that `policies/software.yaml` gives them.
const SETTINGS: [&str; 16] = [
    "data-dir",
    "dataDir",
    "dataLogDir",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "data_dir",
    "storage.raft.path",
    "backend.raft.path",
    "jetstream.store_dir",
    "store_dir",
    "storage.dbPath",
    "dbpath",
    "MNESIA_BASE",
    "MNESIA_DIR",
    "mysqld.datadir",
];
/// How many files are searched for the names of other files.
const MOST_SCRIPTS: usize = 16;

/// The image variables that name a data folder.
pub fn data_variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.into_iter()
}

/// Whether the environment variable names a data folder.
pub fn names_data_folder(variable: &str) -> bool {
    VARIABLES.contains(&variable)
}

impl Container {
    /// Whether the command line, or another file that the container mounts, names the path at which `file` is mounted.
    pub fn names_mount_of(&self, file: &MountedFile) -> bool {
        let others = self.files.iter().take(MOST_SCRIPTS).filter(|other| other.path != file.path);
        let others = others.map(|other| &other.text);
        self.command.iter().chain(&self.args).chain(others).any(|text| text.contains(&*file.mount))
    }

    /// The folders in which its programs are configured to keep data; `None` if one of them is only known at run time.
    pub fn data_folders(&self) -> Option<Vec<&str>> {
        let given = self.given(&VARIABLES, &FLAGS).chain(self.given_by_files(&SETTINGS));
        let folders: Vec<&str> = given.map(|folder| folder.trim_end_matches('/')).collect();
        let is_plain =
            |folder: &&str| folder.starts_with('/') && !folder.contains(['$', ',', '"', '\'', ';']);
        folders.iter().all(is_plain).then_some(folders)
    }

    /// The folders of `data_folders` that hold a log of writes.
    pub fn log_folders(&self) -> impl Iterator<Item = &str> {
        let given = self.given(&LOG_VARIABLES, &[]).chain(self.given_by_files(&LOG_SETTINGS));
        given.map(|folder| folder.trim_end_matches('/'))
    }
}

impl VolumeMount {
    /// Whether the volume, or a part of it, contains the folder of the container.
    pub fn holds(&self, folder: &str) -> bool {
        is_in(folder, self.folder()) || is_in(self.folder(), folder)
    }

    /// Whether the volume is mounted below a folder of the container.
    pub fn is_below(&self, folder: &str) -> bool {
        self.folder() != folder && is_in(self.folder(), folder)
    }

    /// The mount path in the container, without a slash at its end.
    pub fn folder(&self) -> &str {
        self.mount_path.trim_end_matches('/')
    }

    /// The path in the container of a file of the volume; `None` if the file is not mounted, or its path is not known.
    pub fn path_of(&self, file: &str) -> Option<String> {
        let mounted = self.sub_path.trim_matches('/');
        let rest = match file.strip_prefix(mounted)? {
            "" => return Some(self.folder().to_owned()),
            rest if mounted.is_empty() => rest,
            rest => rest.strip_prefix('/')?,
        };
        self.sub_path_expr.is_empty().then(|| format!("{}/{rest}", self.folder()))
    }
}

impl MountedFile {
    /// Whether the file has this path, or is in this folder.
    pub fn is_in(&self, path: &str) -> bool {
        is_in(&self.path, path)
    }

    /// Whether `path` is in the volume of this file, below the mount path.
    pub fn shares_volume_with(&self, path: &str) -> bool {
        *self.mount != *path && is_in(path, &self.mount)
    }
}

fn is_in(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_folder_is_told_by_flag_or_variable() {
        for (container, folders) in [
            (json!({"args": ["--data-dir=/var/lib/etcd/"]}), Some(vec!["/var/lib/etcd"])),
            (
                json!({"command": ["consul", "agent", "-data-dir", "/consul/data"]}),
                Some(vec!["/consul/data"]),
            ),
            (
                json!({"command": ["sh", "-c", "exec mongod --dbpath /data/db --bind_ip_all"]}),
                Some(vec!["/data/db"]),
            ),
            (json!({"args": ["restore --data-dir /new && etcd --data-dir /d"]}), Some(vec!["/new", "/d"])),
            (json!({"env": [{"name": "ZOO_DATA_DIR", "value": "/store"}]}), Some(vec!["/store"])),
            (json!({"env": [{"name": "ZOO_DATA_LOG_DIR", "value": "/data/log"}]}), Some(vec!["/data/log"])),
            (json!({"args": ["-Epath.data=/store"]}), Some(vec!["/store"])),
            (json!({"args": ["-js", "-sd", "/store"]}), Some(vec!["/store"])),
            (json!({"args": ["--fs_data_dirs=/a,/b"]}), None),
            // The folder of diagnostic log files.
            (
                json!({"args": ["--log_dir=/logs"], "env": [{"name": "ZOO_LOG_DIR", "value": "/x"}]}),
                Some(vec![]),
            ),
            (json!({"env": [{"name": "dataDir", "value": "/store"}]}), Some(vec![])),
            (json!({"env": [{"name": "KAFKA_LOG_DIRS", "value": "/a,/b"}]}), None),
            (json!({"args": ["--data-dir=$(DATA)"]}), None),
            (json!({"args": ["--data-dir=default.etcd"]}), None),
            (json!({"args": ["--data-dir"]}), Some(vec![])),
            (json!({}), Some(vec![])),
        ] {
            let container: Container = serde_json::from_value(container).unwrap();
            assert_eq!(container.data_folders(), folders, "{container:?}");
        }
    }

    #[test]
    fn a_mount_holds_what_is_in_it_and_a_part_of_what_it_is_in() {
        for (mounted, folder, holds) in [
            ("/data", "/data", true),
            ("/data/", "/data/etcd", true),
            ("/data/etcd/member", "/data/etcd", true),
            ("/dat", "/data", false),
            ("/data", "/database", false),
            ("/", "/data", true),
            ("", "/data", true),
        ] {
            let mount = VolumeMount { mount_path: mounted.into(), ..VolumeMount::default() };
            assert_eq!(mount.holds(folder), holds, "{mounted} {folder}");
            assert_eq!(mount.is_below(folder), mounted == "/data/etcd/member", "{mounted} {folder}");
        }
    }
}
