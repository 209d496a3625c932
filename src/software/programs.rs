//! The programs that a container starts: what its command line names, behind shells and wrappers.

use std::rc::Rc;

use super::shell::simple_commands;
use crate::model::Container;

/// One program with its arguments.
#[derive(Debug)]
pub(super) struct ContainerProgram {
    words: Rc<[String]>,
    /// Where the arguments begin; the word before is the executable of a program that is `named`.
    arguments: usize,
    named: bool,
}

/// Shells within shells, and wrappers before a program, that are looked through.
const MAX_DEPTH: usize = 4;
const MAX_WRAPPERS: usize = 8;

impl ContainerProgram {
    /// The executable's name without folders. `None` for the image's own entry point.
    pub(super) fn executable(&self) -> Option<&str> {
        self.named.then(|| base_name(&self.words[self.arguments - 1]))
    }

    pub(super) fn arguments(&self) -> &[String] {
        &self.words[self.arguments..]
    }

    /// The first argument that is not a flag.
    pub(super) fn subcommand(&self) -> Option<&str> {
        self.arguments().iter().map(String::as_str).find(|word| !word.starts_with('-'))
    }
}

/// The programs a container starts. Where it has no `command`, its `args` are read in both ways they may be meant: as
/// arguments of the image's entry point, and as a command line that the entry point runs.
pub(super) fn programs(container: &Container) -> Vec<ContainerProgram> {
    let words: Vec<String> =
        container.command.iter().chain(&container.args).map(ToString::to_string).collect();
    let mut programs = Vec::new();
    if container.command.is_empty() {
        programs.push(ContainerProgram { words: words.clone().into(), arguments: 0, named: false });
    }
    collect(words, 0, &mut programs);
    programs
}

/// Adds what the command line `words` starts.
fn collect(words: Vec<String>, depth: usize, programs: &mut Vec<ContainerProgram>) {
    let words: Rc<[String]> = words.into();
    let mut at = 0;
    for _ in 0..MAX_WRAPPERS {
        at += words[at..].iter().take_while(|word| is_assignment(word)).count();
        let Some(word) = words.get(at) else { return };
        let (name, rest) = (base_name(word), &words[at + 1..]);
        if is_entry_point(name) {
            programs.extend([true, false].map(|named| ContainerProgram {
                words: Rc::clone(&words),
                arguments: at + 1,
                named,
            }));
            at += 1;
        } else if is_shell(name) || name == "su" {
            match script(name, rest) {
                Some(script) if depth < MAX_DEPTH => {
                    for command in simple_commands(script) {
                        collect(command, depth + 1, programs);
                    }
                    return;
                }
                Some(_) => return,
                None => at += 1 + flags(rest, "o"),
            }
        } else if let Some((_, with_value, operands)) = WRAPPERS.iter().find(|(wrapper, ..)| *wrapper == name)
        {
            at += 1 + flags(rest, with_value) + operands;
        } else {
            break;
        }
        at = at.min(words.len());
    }
    if words.get(at).is_some_and(|word| !BUILT_INS.contains(&word.as_str())) {
        programs.push(ContainerProgram { words, arguments: at + 1, named: true });
    }
}

/// Commands that are built into a shell.
const BUILT_INS: [&str; 28] = [
    "[", "[[", "]]", ":", "}", "fi", "done", "esac", "for", "case", "in", "break", "continue", "exit",
    "return", "set", "shopt", "trap", "wait", "cd", "export", "unset", "local", "read", "shift", "umask",
    "ulimit", "function",
];

/// Programs and words of the shell after which another program follows: the name, its flags that take a value, and how many
/// operands stand before the program.
const WRAPPERS: [(&str, &str, usize); 38] = [
    ("exec", "a", 0),
    ("if", "", 0),
    ("elif", "", 0),
    ("then", "", 0),
    ("else", "", 0),
    ("while", "", 0),
    ("until", "", 0),
    ("do", "", 0),
    ("!", "", 0),
    ("{", "", 0),
    (".", "", 0),
    ("source", "", 0),
    ("eval", "", 0),
    ("command", "", 0),
    ("time", "", 0),
    ("env", "uC", 0),
    ("nohup", "", 0),
    ("nice", "n", 0),
    ("ionice", "cn", 0),
    ("chrt", "", 1),
    ("timeout", "ks", 1),
    ("numactl", "Nmp", 0),
    ("stdbuf", "ioe", 0),
    ("setsid", "", 0),
    ("sudo", "ugh", 0),
    ("runuser", "ug", 0),
    ("setpriv", "", 0),
    ("su-exec", "", 1),
    ("gosu", "", 1),
    ("chpst", "ueU", 0),
    ("setuidgid", "", 1),
    ("s6-setuidgid", "", 1),
    ("tini", "pe", 0),
    ("dumb-init", "r", 0),
    ("catatonit", "", 0),
    ("busybox", "", 0),
    ("vault-env", "", 0),
    ("catchsegv", "", 0),
];

/// How many leading words are flags, with the values of those in `with_value` and a last `--`.
fn flags(words: &[String], with_value: &str) -> usize {
    let mut count = 0;
    while let Some(word) = words.get(count).filter(|word| is_flag(word)) {
        count += 1;
        if word == "--" {
            break;
        }
        let short = word.strip_prefix('-').filter(|flag| !flag.starts_with('-') && !flag.contains('='));
        let takes_value = match short {
            Some(flag) if flag.chars().count() == 1 || with_value == "o" => {
                flag.ends_with(|c| with_value.contains(c))
            }
            _ => false,
        };
        count += usize::from(takes_value);
    }
    count
}

/// Images' own entry points run their arguments, or the image's program with them.
pub(super) fn is_entry_point(name: &str) -> bool {
    name.contains("entrypoint")
}

fn is_flag(word: &str) -> bool {
    word.starts_with(['-', '+'])
}

fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "ash" | "dash" | "ksh" | "zsh" | "shell")
}

/// The script among the arguments of a shell or of `su`.
fn script<'a>(shell: &str, arguments: &'a [String]) -> Option<&'a str> {
    let has_script = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('c');
    if shell == "su" {
        let at = arguments.iter().position(|word| word == "-c" || word == "--command")?;
        return arguments.get(at + 1).map(String::as_str);
    }
    let flags = flags(arguments, "o");
    let given = arguments.iter().take(flags).any(has_script);
    arguments.get(flags).filter(|_| given).map(String::as_str)
}

/// `NAME=value`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

pub(super) fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn container(command: &[&str], args: &[&str]) -> Container {
        let boxed = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
        Container { command: boxed(command), args: boxed(args), ..Container::default() }
    }

    /// Programs separated by ` / `; `*` for the image's entry point.
    fn seen(command: &[&str], args: &[&str]) -> String {
        let programs = programs(&container(command, args));
        let text = programs.iter().map(|program| {
            let mut words = vec![program.executable().unwrap_or("*")];
            words.extend(program.arguments().iter().map(String::as_str));
            words.join(" ")
        });
        text.collect::<Vec<_>>().join(" / ")
    }

    #[test]
    fn a_command_line_is_looked_through() {
        for (command, expected) in [
            (&["/usr/bin/etcd", "--name=a"] as &[&str], "etcd --name=a"),
            (&["sh", "-c", "exec /bin/consul agent -server"], "consul agent -server"),
            (&["/bin/bash", "-ceu", "-o", "pipefail", "a; b"], "a / b"),
            (&["bash", "-o", "errexit", "-c", "A=1 B=2 exec -a x a"], "a"),
            (&["bash", "-x", "/scripts/run.sh", "-js"], "run.sh -js"),
            (&["bash", "--", "run.sh"], "run.sh"),
            (&["tini", "-g", "--", "gosu", "zookeeper", "zkServer.sh", "start"], "zkServer.sh start"),
            (&["/sbin/tini", "-s", "--", "/bin/sh", "-c", "exec su-exec etcd etcd"], "etcd"),
            (&["dumb-init", "docker-entrypoint.sh", "agent"], "docker-entrypoint.sh agent / * agent / agent"),
            (&["sh", "-c", "su - zk -c 'exec zkServer.sh start'"], "zkServer.sh start"),
            (&["sh", "-c", "sudo -u a -E nice -n 5 b c"], "b c"),
            (&["setpriv", "--reuid=999", "--clear-groups", "b", "c"], "b c"),
            (&["sh", "-c", "until nc -z j 1; do sleep 1; done; timeout 5 b"], "nc -z j 1 / sleep 1 / b"),
            (&["sh", "-c", ". /etc/env.sh; \"$HOME/bin/x\" y"], "env.sh / x y"),
            (&["sh", "-c", "cp a b > zookeeper.properties"], "cp a b"),
            (&["env", "-i", "A=b", "java", "Main"], "java Main"),
            (&["sh", "-c", "A='b c' exec d"], "d"),
            (&["sh", "-c"], ""),
            (&["sh"], ""),
            (&["exec"], ""),
            (&["timeout", "5"], ""),
            (&["A=b"], ""),
        ] {
            assert_eq!(seen(command, &[]), expected, "{command:?}");
        }
    }

    #[test]
    fn arguments_alone_belong_to_the_entry_point_or_name_a_program() {
        assert_eq!(seen(&[], &["consul", "agent"]), "* consul agent / consul agent");
        assert_eq!(seen(&[], &["sh", "-c", "a; b"]), "* sh -c a; b / a / b");
        assert_eq!(seen(&[], &[]), "*");
        let programs = programs(&container(&["consul"], &["-x", "agent", "-server"]));
        assert_eq!(programs[0].subcommand(), Some("agent"));
    }

    #[test]
    fn shells_and_wrappers_without_end_are_given_up() {
        let nested = (0..10).fold("a".to_owned(), |script, _| format!("sh -c {script:?}"));
        assert_eq!(seen(&["sh", "-c", &nested], &[]), "");
        let mut words = vec!["docker-entrypoint.sh"; 100_000];
        words.push("etcd");
        assert!(programs(&container(&words, &[])).len() <= 1 + 2 * MAX_WRAPPERS);
    }

    proptest! {
        #[test]
        fn any_command_line_is_read(
            command in proptest::collection::vec("sh|-c|-o|--|su|exec|env|tini|gosu|a=b|x-entrypoint|[ a;'\"$(\\\\-]{0,8}", 0..8),
            args in proptest::collection::vec(".{0,20}", 0..3),
        ) {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            for program in programs(&container(&words, &args)) {
                prop_assert!(program.executable().is_none_or(|name| !name.contains('/')));
                prop_assert!(program.subcommand().is_none_or(|word| !word.starts_with('-')));
            }
        }
    }
}
