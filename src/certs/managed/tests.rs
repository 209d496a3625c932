use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;

use super::{BTreeSet, CertificateState, CertificateStep, Data, Lifetimes, SecretContent, carry_out};
use crate::certs::{authority::Identity, x509::Certificate};

mod world;

const SETTLE: Duration = Duration::from_secs(60);
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn state_for(hosts: &[&str]) -> CertificateState {
    let hosts: BTreeSet<String> = hosts.iter().map(ToString::to_string).collect();
    CertificateState::new(hosts, Lifetimes::default(), SETTLE)
}

fn state() -> CertificateState {
    state_for(&["stateward.guard.svc"])
}

/// What comes of the next step; it must be this one.
#[track_caller]
fn take(
    expected: CertificateStep,
    content: Option<&SecretContent>,
    state: &CertificateState,
    now: Timestamp,
    at: Duration,
) -> SecretContent {
    assert_eq!(state.next(content, now, at), expected);
    carry_out(expected, content, state, now).unwrap()
}

fn established() -> SecretContent {
    take(CertificateStep::Establish, None, &state(), now(), at(0))
}

fn certificate(identity: Option<&Identity>) -> &Certificate {
    &identity.unwrap().certificate
}

fn leaf(content: &SecretContent) -> &Certificate {
    &content.leaf.as_ref().unwrap().identity.certificate
}

fn data(content: &SecretContent) -> Data {
    let mut data = Data::new();
    content.write(&mut data);
    data
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut content = established();
    for _ in 0..2 {
        assert_eq!(SecretContent::read(&data(&content)), (content.clone(), Vec::new()));
        content = carry_out(CertificateStep::PrepareCa, Some(&content), &state(), now()).unwrap();
    }
    let mut kept = Data::from([("other".to_owned(), ByteString(b"theirs".to_vec()))]);
    content.write(&mut kept);
    assert_eq!(
        kept.keys().map(String::as_str).collect::<Vec<_>>(),
        ["ca.crt", "ca.key", "next-ca.key", "other", "tls.crt", "tls.key"]
    );
    SecretContent { next: None, ..content }.write(&mut kept);
    assert!(!kept.contains_key("next-ca.key") && kept.contains_key("other"));
}

#[test]
fn each_part_can_be_broken_for_itself() {
    let (good, other) = (data(&established()), data(&established()));
    let broken = |key: &str, value: &[u8]| {
        let mut data = good.clone();
        data.insert(key.to_owned(), ByteString(value.to_vec()));
        let (content, defects) = SecretContent::read(&data);
        (content.signer.is_some(), content.leaf.is_some(), defects.join("; "))
    };
    for (key, value, expected) in [
        ("tls.crt", &b"x"[..], (true, false, "tls.crt: no certificate in PEM")),
        ("tls.key", b"x", (true, false, "tls.key: no private key in PEM (PKCS#8, SEC1 or RSA)")),
        ("tls.key", b"", (true, false, "tls.key is missing")),
        ("tls.key", &other["tls.key"].0, (true, false, "tls.key does not belong to tls.crt")),
        ("ca.key", &other["ca.key"].0, (false, true, "ca.key belongs to no CA in ca.crt")),
        ("next-ca.key", b"x", (true, true, "next-ca.key: no private key in PEM (PKCS#8, SEC1 or RSA)")),
    ] {
        let (signer, leaf, defects) = broken(key, value);
        assert_eq!((signer, leaf, &*defects), expected, "{key}");
    }
    let (signer, leaf, defects) = broken("ca.crt", &other["ca.crt"].0);
    assert_eq!((signer, leaf), (false, false));
    assert!(defects.contains("tls.crt is signed by no CA in ca.crt"), "{defects}");
}

#[test]
fn a_new_leaf_comes_in_the_last_third_and_for_another_name() {
    let content = established();
    let next = |after: i32| state().next(Some(&content), now() + after * DAY, at(0));
    assert_eq!([0, 200, 243].map(next), [CertificateStep::Keep; 3]);
    assert_eq!([244, 364, 400].map(next), [CertificateStep::IssueLeaf; 3]);
    assert_eq!(
        next(-300),
        CertificateStep::PrepareCa,
        "it was made by a clock that was wrong, or this one is"
    );
    let renewed = take(CertificateStep::IssueLeaf, Some(&content), &state(), now() + 300 * DAY, at(0));
    assert_eq!(leaf(&renewed).until, now() + 665 * DAY);
    assert_eq!((&renewed.signer, &renewed.bundle), (&content.signer, &content.bundle));

    let (old, new) = (state(), state_for(&["guard.guard.svc", "::1"]));
    let both = take(CertificateStep::IssueLeaf, Some(&content), &new, now(), at(0));
    assert_eq!(new.next(Some(&both), now(), at(0)), CertificateStep::Keep);
    assert_eq!(
        old.next(Some(&both), now(), at(0)),
        CertificateStep::Keep,
        "in a rollout both find their names"
    );
    let after = take(CertificateStep::IssueLeaf, Some(&both), &new, now() + 300 * DAY, at(0));
    assert_eq!(leaf(&after).names.len(), 2, "in the end the old names go");
}

#[test]
fn a_new_ca_signs_only_when_everybody_has_trusted_it_for_a_while() {
    let (mut state, content) = (state(), established());
    let old = certificate(content.signer.as_ref()).clone();
    let later = now() + 3200 * DAY;
    let content = take(CertificateStep::PrepareCa, Some(&content), &state, later, at(0));
    let new = certificate(content.next.as_ref()).clone();
    assert_eq!(content.bundle, [old.clone(), new.clone()]);
    assert_eq!(certificate(content.signer.as_ref()), &old);
    assert_eq!(new.from, old.from, "valid for everybody for whom the old one is");

    // Until then the leaf is renewed by the old one.
    let content = take(CertificateStep::IssueLeaf, Some(&content), &state, later, at(0));
    assert!(leaf(&content).is_signed_by(&old));
    state.hold(&content, later);
    state.present(later, at(0));
    assert!(state.waits());
    let one = vec![old.clone()];
    let both = vec![old.clone(), new.clone()];
    for (seen, entries, step) in [
        (0, vec![one.clone(), one.clone()], CertificateStep::Keep),
        (10, vec![both.clone(), both.clone()], CertificateStep::Keep),
        (60, vec![both.clone(), one.clone()], CertificateStep::Keep),
        (70, vec![both.clone(), both.clone()], CertificateStep::Keep),
        (129, vec![both.clone(), both.clone()], CertificateStep::Keep),
        (130, vec![both.clone(), both.clone()], CertificateStep::Promote),
        (130, vec![both.clone(), Vec::new()], CertificateStep::Keep),
        (140, Vec::new(), CertificateStep::Keep),
        (200, Vec::new(), CertificateStep::Promote),
    ] {
        state.saw(&entries, later, at(seen));
        assert_eq!(state.next(Some(&content), later, at(seen)), step, "{seen}");
    }
    let content = take(CertificateStep::Promote, Some(&content), &state, later, at(200));
    assert!(leaf(&content).is_signed_by(&new));
    assert_eq!((content.next.as_ref(), &content.bundle), (None, &vec![old.clone(), new.clone()]));
    assert_eq!(state.next(Some(&content), later, at(200)), CertificateStep::Keep);

    // Long after it has expired, the old one goes with a change of CAs.
    let (latest, state) = (later + 3200 * DAY, super::tests::state());
    let content = take(CertificateStep::PrepareCa, Some(&content), &state, latest, at(0));
    assert!(!content.bundle.contains(&old) && content.bundle.contains(&new));
}

#[test]
fn a_leaf_does_not_outlive_its_ca_and_is_not_made_again_and_again() {
    let (state, content) = (state(), established());
    let content = take(CertificateStep::PrepareCa, Some(&content), &state, now() + 3550 * DAY, at(0));
    let content = take(CertificateStep::IssueLeaf, Some(&content), &state, now() + 3550 * DAY, at(0));
    assert_eq!(leaf(&content).until, certificate(content.signer.as_ref()).until);
    for after in [3550, 3600, 3649, 3700] {
        assert_eq!(state.next(Some(&content), now() + after * DAY, at(0)), CertificateStep::Keep, "{after}");
    }
}

#[test]
fn what_is_gone_or_broken_is_written_back_by_who_remembers_it() {
    let (mut state, content) = (state(), established());
    let broken = SecretContent { leaf: None, ..content.clone() };
    let without_ca = SecretContent { signer: None, ..content.clone() };
    assert_eq!(state.next(Some(&broken), now(), at(0)), CertificateStep::IssueLeaf);
    assert_eq!(state.next(Some(&SecretContent::default()), now(), at(0)), CertificateStep::Establish);
    assert_eq!(
        state.next(Some(&without_ca), now(), at(0)),
        CertificateStep::PrepareCa,
        "what is trusted stays in use until another CA is"
    );
    state.hold(&content, now());
    for read in [None, Some(&broken), Some(&without_ca), Some(&SecretContent::default())] {
        assert_eq!(take(CertificateStep::Restore, read, &state, now(), at(0)), content);
    }
}

#[test]
fn another_secret_is_taken_up_without_a_gap() {
    let (mut state, mine, theirs) = (state(), established(), established());
    state.hold(&mine, now());
    assert!(state.waits() && state.present(now(), at(0)).is_none(), "no client trusts it yet");
    state.saw(std::slice::from_ref(&mine.bundle), now(), at(0));
    assert!(state.present(now(), at(0)).is_some());
    state.hold(&theirs, now());
    assert_eq!(state.held(), Some(&mine), "ours may still be presented somewhere");
    let merged = take(CertificateStep::Merge, Some(&theirs), &state, now(), at(0));
    assert_eq!((&merged.signer, &merged.leaf), (&theirs.signer, &theirs.leaf));
    assert_eq!(merged.bundle.len(), 2);
    state.hold(&merged, now());
    assert!(state.waits() && state.present(now(), at(0)).is_none());
    let (mine_only, both) = (vec![mine.bundle.clone()], vec![merged.bundle.clone()]);
    for (seen, entries, is_taken_up) in
        [(0, &mine_only, false), (10, &both, false), (69, &both, false), (70, &both, true)]
    {
        state.saw(entries, now(), at(seen));
        assert_eq!(state.present(now(), at(seen)).is_some(), is_taken_up, "{seen}");
    }
    assert!(!state.waits());
}

#[test]
fn a_leaf_that_is_not_valid_yet_does_not_replace_one_that_is() {
    let (mut state, content) = (state(), established());
    state.hold(&content, now());
    state.saw(std::slice::from_ref(&content.bundle), now(), at(0));
    assert!(state.present(now(), at(0)).is_some());
    let early =
        Identity::authority(crate::certs::authority::Validity { from: now() + DAY, until: now() + 9 * DAY });
    let early = early.unwrap();
    let mut future = content.clone();
    let future_leaf =
        super::steps::carry_out(CertificateStep::Establish, None, &super::tests::state(), now() + 500 * DAY)
            .unwrap();
    future.bundle.extend([early.certificate, future_leaf.bundle[0].clone()]);
    future.leaf = future_leaf.leaf;
    state.hold(&future, now());
    state.saw(&[future.bundle.clone()], now(), at(0));
    assert!(state.present(now(), at(100)).is_none());
    assert!(state.present(now() + 500 * DAY, at(100)).is_some());
}

#[test]
fn what_should_not_be_in_a_webhook_configuration_stays_for_a_while() {
    let (mut state, mine, theirs) = (state(), established(), established());
    state.hold(&mine, now());
    let entries = vec![vec![theirs.bundle[0].clone()], Vec::new()];
    let both = [mine.bundle[0].clone(), theirs.bundle[0].clone()];
    state.saw(&entries, now(), at(0));
    assert_eq!(state.bundle(&entries, at(59)), both, "in every entry");
    assert_eq!(state.bundle(&entries, at(60)), mine.bundle);
    state.saw(std::slice::from_ref(&mine.bundle), now(), at(60));
    state.saw(&entries, now(), at(70));
    assert_eq!(state.bundle(&entries, at(129)), both, "from when it is there again");
    state.saw(&entries, now() + 6000 * DAY, at(130));
    assert_eq!(state.bundle(&entries, at(130)), mine.bundle, "an expired CA is useless");
}
