//! What every store promises.

use sea_orm_cache::store::{Bumps, Got, Kept, Lease, Mark, TagId, Turn};

use crate::subject::{all, fresh, ids};

#[tokio::test]
async fn an_entry_is_given_back_as_it_was_put() {
    for subject in all().await {
        let key = subject.key(1);
        assert_eq!(subject.get(&key).await, Got::Nothing, "{}", subject.name);
        let fill = subject.fill(&key).await;
        let found = subject.found(&key).await;
        assert_eq!((found.fill, &found.body[..], found.ttl_ms), (fill, &b"value"[..], 60_000));
        assert_eq!(found.ids, ids(&[1, 2, 3]));
        assert!((500..30_000).contains(&found.age_ms), "{}: {}", subject.name, found.age_ms);
        // Who has it is not sent it again.
        assert_eq!(subject.store.get(&key, Some(&fill)).await, Ok(Got::Same));
        let other = subject.store.get(&key, Some(&fresh())).await;
        assert!(matches!(other, Ok(Got::Found(_))));
        assert_eq!(subject.get(&subject.key(2)).await, Got::Nothing);
    }
}

#[tokio::test]
async fn a_bump_of_any_tag_ends_the_entry() {
    for subject in all().await {
        let key = subject.key(1);
        for tag in [1, 2, 3] {
            let fill = subject.fill(&key).await;
            subject.bump(&[7, 8]).await;
            assert!(matches!(subject.get(&key).await, Got::Found(_)), "{}", subject.name);
            subject.bump(&[7, tag]).await;
            assert_eq!(subject.get(&key).await, Got::Nothing, "{} {tag}", subject.name);
            assert_eq!(subject.store.get(&key, Some(&fill)).await, Ok(Got::Nothing));
        }
    }
}

#[tokio::test]
async fn a_guard_that_moved_refuses_the_entry() {
    for subject in all().await {
        let key = subject.key(1);
        let marked = subject.mark(&[1, 2, 9]).await;
        subject.bump(&[9]).await;
        assert_eq!(subject.put(&key, &marked).await.1, Kept::Refused, "{}", subject.name);
        // Somebody else has created it anew.
        let marked = subject.mark(&[1, 2, 9]).await;
        subject.bump(&[9]).await;
        subject.mark(&[9]).await;
        assert_eq!(subject.put(&key, &marked).await.1, Kept::Refused, "{}", subject.name);
        assert_eq!(subject.get(&key).await, Got::Nothing);
    }
}

#[tokio::test]
async fn an_entry_whose_marked_tag_was_bumped_before_it_was_put_does_not_answer() {
    for subject in all().await {
        let key = subject.key(1);
        let marked = subject.mark(&[1, 2, 9]).await;
        subject.bump(&[2]).await;
        subject.mark(&[2]).await;
        subject.put(&key, &marked).await;
        assert_eq!(subject.get(&key).await, Got::Nothing, "{}", subject.name);
    }
}

#[tokio::test]
async fn no_version_is_used_twice() {
    for subject in all().await {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let marked = subject.mark(&[4]).await;
            assert!(seen.insert(marked.versions[0].expect("a version")), "{}", subject.name);
            assert_eq!(subject.mark(&[4]).await.versions, marked.versions);
            subject.bump(&[4]).await;
        }
    }
}

#[tokio::test]
async fn another_history_refuses_the_entry() {
    for subject in all().await {
        let key = subject.key(1);
        let mut marked = subject.mark(&[1, 2, 9]).await;
        marked.epoch = *b"another history.";
        assert_eq!(subject.put(&key, &marked).await.1, Kept::Refused, "{}", subject.name);
    }
}

#[tokio::test]
async fn a_blocked_tag_has_no_version_until_all_have_unblocked_it() {
    for subject in all().await {
        let tags = ids(&[5]);
        let (one, two) = ([(TagId(5), fresh())], [(TagId(5), fresh())]);
        let block = |who| Bumps { block: who, watch: &tags, ..Bumps::default() };
        let unblock = |who| Bumps { unblock: who, watch: &tags, ..Bumps::default() };
        let before = subject.mark(&[5]).await.versions;
        // Who asks twice, because no answer came, has asked once.
        for bump in [block(&one), block(&one), block(&two), unblock(&one), unblock(&one)] {
            let bumped = subject.store.bump(bump).await.expect("bumped");
            assert_eq!(bumped.watched, [None], "{}", subject.name);
            assert_eq!(subject.mark(&[5]).await.versions, [None], "{}", subject.name);
        }
        subject.store.bump(unblock(&two)).await.expect("bumped");
        let after = subject.mark(&[5]).await.versions;
        assert!(after[0].is_some() && after != before, "{}", subject.name);
        let watch = Bumps { watch: &tags, ..Bumps::default() };
        assert_eq!(subject.store.bump(watch).await.expect("asked").watched, after);
    }
}

#[tokio::test]
async fn one_has_the_right_to_load_and_gives_it_back() {
    for subject in all().await {
        let key = subject.key(1);
        let ask = async |token| {
            let lease = Some(Lease { key: &key, token, ms: 60_000 });
            let mark =
                Mark { entry: None, ids: &ids(&[1]), create: fresh(), keep_ms: 60_000, lease };
            subject.store.mark(mark).await.expect("marked").turn
        };
        let (one, two) = (fresh(), fresh());
        assert_eq!(ask(one).await, Turn::Ours, "{}", subject.name);
        assert_eq!(ask(two).await, Turn::Theirs, "{}", subject.name);
        // Nobody gives back what another has.
        subject.store.release(&key, &two, false).await.expect("released");
        assert_eq!(ask(two).await, Turn::Theirs, "{}", subject.name);
        subject.store.release(&key, &one, false).await.expect("released");
        assert_eq!(ask(two).await, Turn::Ours, "{}", subject.name);
        subject.store.release(&key, &two, true).await.expect("released");
        assert_eq!(ask(one).await, Turn::Free, "{}", subject.name);
    }
}

#[tokio::test]
async fn what_is_told_is_heard_in_its_order_and_before_the_answer_to_a_question() {
    for subject in all().await {
        if !subject.store.tells() {
            // The type of the error is what the cache goes by.
            let told = subject.store.listen().await.map(drop);
            assert!(told.expect_err("nobody tells").is_unsupported(), "{}", subject.name);
            continue;
        }
        let mut listener = subject.store.listen().await.expect("a listener");
        let tell = async |number: u64| {
            let message = number.to_le_bytes();
            let bumps = Bumps { ids: &[TagId(1)], message: &message, ..Bumps::default() };
            subject.store.bump(bumps).await.expect("bumped");
        };
        for number in 0..100 {
            tell(number).await;
        }
        let heard = listener.catch_up().await.expect("nothing was lost");
        let expected: Vec<_> = (0..100_u64).map(|number| number.to_le_bytes().to_vec()).collect();
        assert_eq!(heard, expected, "{}", subject.name);
        tell(100).await;
        assert_eq!(listener.next().await, Some(100_u64.to_le_bytes().to_vec()));
        assert_eq!(listener.catch_up().await, Some(Vec::new()));
    }
}

#[tokio::test]
async fn what_is_removed_is_gone() {
    for subject in all().await {
        let key = subject.key(1);
        subject.fill(&key).await;
        subject.store.remove(&key).await.expect("removed");
        assert_eq!(subject.get(&key).await, Got::Nothing, "{}", subject.name);
    }
}

#[tokio::test]
async fn many_tags_are_bumped_at_once() {
    for subject in all().await {
        let key = subject.key(1);
        subject.fill(&key).await;
        let mut many: Vec<u64> = (100..20_100).collect();
        subject.bump(&many).await;
        assert!(matches!(subject.get(&key).await, Got::Found(_)), "{}", subject.name);
        many.push(2);
        subject.bump(&many).await;
        assert_eq!(subject.get(&key).await, Got::Nothing, "{}", subject.name);
    }
}

#[tokio::test]
async fn who_asks_for_versions_is_given_the_entry_if_there_is_one() {
    for subject in all().await {
        let key = subject.key(1);
        let ask = async || {
            let lease = Some(Lease { key: &key, token: fresh(), ms: 60_000 });
            let tags = ids(&[1]);
            let mark =
                Mark { entry: Some(&key), ids: &tags, create: fresh(), keep_ms: 60_000, lease };
            subject.store.mark(mark).await.expect("marked")
        };
        let nothing = ask().await;
        assert_eq!((nothing.found, nothing.turn), (None, Turn::Ours), "{}", subject.name);
        let fill = subject.fill(&key).await;
        assert_eq!(ask().await.found.expect("an entry").fill, fill, "{}", subject.name);
        subject.bump(&[3]).await;
        let nothing = ask().await;
        assert_eq!((nothing.found, nothing.turn), (None, Turn::Theirs), "{}", subject.name);
    }
}

#[tokio::test]
async fn a_valid_entry_of_another_load_stays_unless_it_is_to_be_replaced() {
    for subject in all().await {
        let key = subject.key(1);
        let marked = subject.mark(&[1, 2, 9]).await;
        let first = subject.fill(&key).await;
        assert_eq!(subject.put(&key, &marked).await.1, Kept::Refused, "{}", subject.name);
        assert_eq!(subject.found(&key).await.fill, first, "{}", subject.name);
        subject.bump(&[2]).await;
        assert_ne!(subject.fill(&key).await, first);
    }
}
