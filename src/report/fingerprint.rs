//! Fingerprints of findings, for baselines and for services that follow findings over time.

use std::collections::HashMap;

use super::Located;
use super::paths::RepositoryPaths;

/// The fingerprints of findings, of rule, object, field and file, and of what the object is rendered from: overlays may have all else
/// from one base. Lines are left out, since they move.
pub(super) fn of_findings(findings: &[Located], paths: &RepositoryPaths) -> Vec<String> {
    let mut fingerprints = Fingerprints::default();
    let of = |located: &Located| {
        let file = paths.within(file_of(located));
        let folder = located.rendered_folder().map(|folder| paths.within(folder));
        let parts = parts(located, &file);
        match &folder {
            Some(folder) => fingerprints.of(&[&parts[..], &[folder]].concat()),
            None => fingerprints.of(&parts),
        }
    };
    findings.iter().map(of).collect()
}

/// The fingerprints with files as the command line names them.
pub(super) fn of_version_1(findings: &[Located]) -> Vec<String> {
    let mut fingerprints = Fingerprints::default();
    findings.iter().map(|located| fingerprints.of(&parts(located, file_of(located)))).collect()
}

fn file_of(located: &Located) -> &str {
    located.position.as_ref().map_or("", |position| &position.file.name)
}

fn parts<'a>(located: &'a Located, file: &'a str) -> [&'a str; 8] {
    let finding = &located.finding;
    let (object, subject) = (&finding.object, &finding.subject);
    [
        finding.rule.as_str(),
        file,
        object.kind,
        &object.namespace,
        &object.name,
        subject.kind,
        &subject.name,
        &finding.path,
    ]
}

/// The fingerprints that a report has so far: of several things that agree in all parts, each has its number.
#[derive(Default)]
pub(super) struct Fingerprints(HashMap<u128, usize>);

impl Fingerprints {
    pub(super) fn of(&mut self, parts: &[&str]) -> String {
        let hash = parts.iter().fold(OFFSET, |hash, part| mix(mix(hash, part.as_bytes()), &[0]));
        let number = self.0.entry(hash).or_default();
        *number += 1;
        let hash = if *number == 1 { hash } else { mix(hash, number.to_string().as_bytes()) };
        format!("{hash:032x}")
    }
}

/// FNV-1a with 128 bits: a fixed function, as files in other people's repositories hold its results.
const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn mix(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(mix(OFFSET, b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }
}
