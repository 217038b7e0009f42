//! Which state a bank gets at its first boot.

/// A state that could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<T> {
    /// Its version.
    pub version: u32,
    /// What it is.
    pub what: T,
}

/// What a bank takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<T> {
    /// This one, after the migrations from its version to the bank's own.
    Take {
        /// The state.
        offer: Offer<T>,
        /// Whether the state that was carried is newer than the bank knows, so that an older one is taken instead.
        older: bool,
    },
    /// Nothing fits: the defaults of the release.
    Defaults {
        /// Version of the state that was carried and is too new, if one was.
        too_new: Option<u32>,
    },
}

/// Chooses for a release whose state has version `own`: what was carried if it is not newer, else the newest of the
/// states that were kept and are not newer. Never a newer one: nothing can know what it means.
pub fn choose<T: Copy>(own: u32, carried: Option<Offer<T>>, kept: &[Offer<T>]) -> Choice<T> {
    match carried {
        Some(offer) if offer.version <= own => return Choice::Take { offer, older: false },
        Some(_) | None => {}
    }
    let fits = kept.iter().filter(|offer| offer.version <= own).max_by_key(|offer| offer.version);
    match (carried, fits) {
        // Without a state that was carried this is a host without a past: what is kept is somebody else's.
        (Some(_), Some(offer)) => Choice::Take { offer: *offer, older: true },
        (carried, _) => Choice::Defaults { too_new: carried.map(|offer| offer.version) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_never_gets_a_newer_state_than_it_knows() {
        let offer = |version| Offer { version, what: version };
        let kept = [offer(1), offer(2), offer(3)];
        for own in 1..6 {
            for carried in 1..6 {
                match choose(own, Some(offer(carried)), &kept) {
                    Choice::Take { offer, older } => {
                        assert!(offer.version <= own);
                        assert_eq!(older, carried > own);
                        assert_eq!(offer.version, if older { own.min(3) } else { carried });
                    }
                    Choice::Defaults { .. } => unreachable!("version 1 is always kept here"),
                }
            }
        }
        assert_eq!(choose(1, Some(offer(2)), &[offer(2)]), Choice::Defaults { too_new: Some(2) });
        assert_eq!(choose(2, None, &kept), Choice::Defaults { too_new: None });
    }
}
