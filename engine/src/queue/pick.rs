//! Who of those who are free is rung: the strategies. Pure; chance comes as an argument.
use crate::config::Strategy;
use std::time::Instant;

/// An agent who could be rung.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// Its place among the queue's members.
    pub(super) place: usize,
    pub(super) penalty: u32,
    /// Calls of this queue that it took.
    pub(super) calls: u64,
    /// When its last call ended.
    pub(super) last_end: Option<Instant>,
}

/// A small generator of chance: SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `below` − 1.
    fn below(&mut self, below: u64) -> u64 {
        self.next() % below.max(1)
    }
}

/// The indices into `free` of those who are rung, `free` being in the order of the queue's members. `after` is the place of whoever rang
/// last. Agents of a higher penalty are asked when none of a lower one is left, but for `wrandom`, which only asks them less often.
pub(super) fn pick(
    strategy: Strategy,
    free: &[Candidate],
    after: Option<usize>,
    chance: &mut Chance,
) -> Vec<usize> {
    let Some(least) = free.iter().map(|each| each.penalty).min() else {
        return Vec::new();
    };
    let tier = || {
        free.iter()
            .enumerate()
            .filter(move |(_, each)| each.penalty == least)
    };
    let one = match strategy {
        Strategy::RingAll => return tier().map(|(index, _)| index).collect(),
        Strategy::Linear => tier().min_by_key(|(_, each)| each.place),
        Strategy::LeastRecent => tier().min_by_key(|(_, each)| (each.last_end, each.place)),
        Strategy::FewestCalls => tier().min_by_key(|(_, each)| (each.calls, each.place)),
        Strategy::RrMemory => tier()
            .min_by_key(|(_, each)| (after.is_some_and(|last| each.place <= last), each.place)),
        Strategy::Random => {
            let among = tier().count() as u64;
            tier().nth(chance.below(among) as usize)
        }
        Strategy::WRandom => {
            let draws = free.iter().enumerate().map(|(index, each)| {
                let span = (u64::from(each.penalty) + 1) * 1000;
                (chance.below(span), index)
            });
            let index = draws.min().map(|(_, index)| index);
            index.and_then(|index| Some((index, free.get(index)?)))
        }
    };
    one.map(|(index, _)| index).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn candidate(place: usize, penalty: u32) -> Candidate {
        Candidate {
            place,
            penalty,
            calls: 0,
            last_end: None,
        }
    }

    #[test]
    fn each_strategy_picks_as_its_name_says() {
        let t0 = Instant::now();
        let ended = |s| Some(t0 + Duration::from_secs(s));
        let mut free: Vec<_> = (0..4).map(|place| candidate(place, 0)).collect();
        for (each, (calls, s)) in free.iter_mut().zip([(3, 9), (1, 30), (0, 20), (0, 5)]) {
            (each.calls, each.last_end) = (calls, ended(s));
        }
        free[0].penalty = 1;
        let mut chance = Chance::new(1);
        let mut picked = |strategy, after| pick(strategy, &free, after, &mut chance);
        assert_eq!(picked(Strategy::RingAll, None), [1, 2, 3]);
        assert_eq!(picked(Strategy::Linear, Some(2)), [1]);
        assert_eq!(picked(Strategy::LeastRecent, None), [3]);
        assert_eq!(picked(Strategy::FewestCalls, None), [2]);
        for (after, expected) in [
            (None, 1),
            (Some(1), 2),
            (Some(2), 3),
            (Some(3), 1),
            (Some(9), 1),
        ] {
            assert_eq!(picked(Strategy::RrMemory, after), [expected], "{after:?}");
        }
        assert_eq!(pick(Strategy::Random, &[], None, &mut chance), [0; 0]);
    }

    #[test]
    fn who_never_had_a_call_comes_before_all_who_had_one() {
        let mut free = vec![candidate(0, 0), candidate(1, 0)];
        free[0].last_end = Some(Instant::now());
        let picked = pick(Strategy::LeastRecent, &free, None, &mut Chance::new(1));
        assert_eq!(picked, [1]);
    }

    #[test]
    fn chance_is_even_and_weighted_chance_goes_by_the_penalty() {
        let free = [candidate(0, 0), candidate(1, 0), candidate(2, 3)];
        let mut chance = Chance::new(42);
        let mut count = |strategy| {
            let mut times = [0_u32; 3];
            for _ in 0..4000 {
                times[pick(strategy, &free, None, &mut chance)[0]] += 1;
            }
            times
        };
        let even = count(Strategy::Random);
        assert!(even[2] == 0 && even[0].abs_diff(even[1]) < 300, "{even:?}");
        let weighted = count(Strategy::WRandom);
        // The third wins where its draw of 0 to 3999 is below two of 0 to 999: one time in twelve.
        assert!((250..=420).contains(&weighted[2]), "{weighted:?}");
        assert!(weighted[0].abs_diff(weighted[1]) < 300, "{weighted:?}");
    }
}
