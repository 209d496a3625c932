//! Files by their paths within the repository, as baselines and the services that show a report know them, however the command line
//! names them.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use crate::manifest::STDIN;

/// The repositories around an audit. The default knows of none, and leaves all names as they are.
#[derive(Clone, Debug, Default)]
pub struct RepositoryPaths {
    /// The folder that relative names are relative to.
    current: PathBuf,
    /// The root of the repository around the current folder, or what stands in for it.
    home: PathBuf,
    /// Roots of repositories; the first that holds a file is the file's own.
    roots: Vec<PathBuf>,
    /// Folders as they are written, with links resolved.
    links: Vec<(PathBuf, PathBuf)>,
}

impl RepositoryPaths {
    /// Knows the repository around the folder `current` and those around the arguments, whose folders are in `links`. A repository
    /// begins where `.git` is. Without one the folder of `.stateward.yaml` stands in for it, or else the current folder.
    pub fn new(
        current: PathBuf,
        arguments: &[PathBuf],
        links: Vec<(PathBuf, PathBuf)>,
        exists: impl Fn(&Path) -> bool,
    ) -> Self {
        let nearest = |from: &Path, name: &str| {
            from.ancestors().find(|folder| exists(&folder.join(name))).map(Path::to_owned)
        };
        let own = nearest(&current, ".git");
        let substitute = || nearest(&current, ".stateward.yaml").unwrap_or_else(|| current.clone());
        let home = own.clone().unwrap_or_else(substitute);
        let mut paths = Self { current, home, roots: own.into_iter().collect(), links };
        for argument in arguments {
            let [written, resolved] = paths.places(argument);
            let root = nearest(&resolved, ".git").or_else(|| nearest(&written, ".git"));
            paths.roots.extend(root.filter(|root| !paths.roots.contains(root)));
        }
        if !paths.roots.contains(&paths.home) {
            paths.roots.push(paths.home.clone());
        }
        paths
    }

    /// The path of a file or folder within its repository; `.` is the root. Outside of all repositories what is written as a relative path is told
    /// from the root of the repository around the current folder. Standard input has no path.
    pub fn within<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.current.as_os_str().is_empty() || name.is_empty() || name == STDIN {
            return Cow::Borrowed(name);
        }
        let [written, resolved] = self.places(Path::new(name));
        // A link out of the repository has its place in it all the same.
        let below = |root: &PathBuf| {
            resolved.strip_prefix(root).or_else(|_| written.strip_prefix(root)).ok().map(Path::to_owned)
        };
        let is_absolute = Path::new(name).is_absolute();
        let outside = || if is_absolute { written.clone() } else { relative(&written, &self.home) };
        let path = self.roots.iter().find_map(below).unwrap_or_else(outside);
        Cow::Owned(if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() })
    }

    /// Where a path within the repository around the current folder is.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.home.join(path)
    }

    /// The absolute path as it is written, and without the links that are known.
    fn places(&self, path: &Path) -> [PathBuf; 2] {
        let written = clean(&self.current.join(path));
        let mut links = self.links.iter();
        let resolved = links.find_map(|(link, folder)| Some(folder.join(written.strip_prefix(link).ok()?)));
        let resolved = resolved.map_or_else(|| written.clone(), |path| clean(&path));
        [written, resolved]
    }
}

/// The path without `.` and `..`, as far as that needs no look at the file system.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// The path from the folder or file `from` to `path`, both absolute and clean.
pub fn relative(path: &Path, from: &Path) -> PathBuf {
    let common = path.components().zip(from.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths from the folder `current`, where these files and folders are.
    fn paths(current: &str, arguments: &[&str], links: &[(&str, &str)], there: &[&str]) -> RepositoryPaths {
        let arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        let links = links.iter().map(|(link, folder)| (link.into(), folder.into())).collect();
        let exists = |path: &Path| there.iter().any(|known| path == Path::new(known));
        RepositoryPaths::new(current.into(), &arguments, links, exists)
    }

    #[test]
    fn a_file_has_one_path_however_it_is_named() {
        let there = ["/r/.git", "/r/k8s/.stateward.yaml", "/r/sub/.git"];
        for (current, name) in [
            ("/r", "k8s/a.yaml"),
            ("/r", "./k8s/a.yaml"),
            ("/r", "/r/k8s/../k8s/a.yaml"),
            ("/r/k8s", "a.yaml"),
            ("/r/k8s/deep", "../a.yaml"),
            ("/r/sub", "../k8s/a.yaml"),
            ("/", "r/k8s/a.yaml"),
            ("/elsewhere", "/r/k8s/a.yaml"),
        ] {
            let found = paths(current, &["/r/k8s"], &[], &there);
            assert_eq!(found.within(name), "k8s/a.yaml", "{current} {name}");
        }
        let submodule = paths("/r", &["/r/sub"], &[], &there);
        assert_eq!(submodule.within("sub/a.yaml"), "sub/a.yaml", "the repository around has it");
        assert_eq!(submodule.within("."), ".");
        assert_eq!(submodule.absolute(Path::new("k8s")), Path::new("/r/k8s"));
    }

    #[test]
    fn without_git_the_settings_or_the_current_folder_are_the_root() {
        let settings = paths("/r/k8s", &["/r/k8s"], &[], &["/r/.stateward.yaml"]);
        assert_eq!(settings.within("a.yaml"), "k8s/a.yaml");
        let nothing = paths("/r", &["/r/k8s"], &[], &[]);
        assert_eq!(nothing.within("/r/k8s/a.yaml"), "k8s/a.yaml");
        assert_eq!(nothing.within("../other/a.yaml"), "../other/a.yaml");
        assert_eq!(nothing.within("/tmp/../tmp/a.yaml"), "/tmp/a.yaml");
    }

    #[test]
    fn links_are_followed_within_a_repository() {
        let links = [("/home/link", "/r"), ("/r/current", "/r/k8s/v2"), ("/r/built", "/store/1")];
        let paths = paths("/r", &["/home/link/k8s"], &links, &["/r/.git"]);
        for (name, path) in [
            ("/home/link/base/a.yaml", "base/a.yaml"),
            ("current/a.yaml", "k8s/v2/a.yaml"),
            ("built/a.yaml", "built/a.yaml"),
        ] {
            assert_eq!(paths.within(name), path);
        }
    }

    #[test]
    fn what_is_no_file_keeps_its_name() {
        let paths = paths("/r/k8s", &[], &[], &["/r/.git"]);
        assert_eq!([paths.within(STDIN), paths.within("")], [STDIN, ""]);
        assert_eq!(RepositoryPaths::default().within("./a.yaml"), "./a.yaml");
    }
}
