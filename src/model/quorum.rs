//! Quorum arithmetic of Raft and ZAB: any two majorities share a member.

/// The smallest number of members that is more than half of `members`.
pub fn majority(members: i32) -> i32 {
    members / 2 + 1
}

/// How many of `members` may fail while the others still form a majority; 0 without members.
pub fn tolerated(members: i32) -> i32 {
    (members - majority(members)).max(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_majorities_always_overlap(members in 1..1_000i32) {
            prop_assert!(2 * majority(members) > members);
            prop_assert!(2 * (majority(members) - 1) <= members);
        }

        #[test]
        fn an_even_member_adds_no_tolerance(odd in (0..500i32).prop_map(|k| 2 * k + 1)) {
            prop_assert_eq!(tolerated(odd), tolerated(odd + 1));
            prop_assert_eq!(tolerated(odd) + 1, tolerated(odd + 2));
        }

        #[test]
        fn survivors_are_a_majority(members in 1..1_000i32) {
            prop_assert!(members - tolerated(members) >= majority(members));
            prop_assert!(members - tolerated(members) - 1 < majority(members));
        }
    }
}
