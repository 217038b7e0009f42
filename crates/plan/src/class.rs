//! What guests need and hosts offer, as small numbers.
//!
//! Owns: host classes, guest classes, and which of them go together. Promises: what decides nothing is left out (a
//! need of a guest that never moves, one that every host in service offers), so that most pools have one class and
//! pay nothing; a question costs O(1) as long as there are at most [`MOST_SETS`] host classes. Does not: know memory.

use std::collections::{BTreeSet, HashMap};

use crate::pool::{Guest, Host};

/// Host classes that get a set of their own in [`Room`](crate::room::Room). With more of them (a pool whose guests
/// can be moved and need storages that only few hosts have) all hosts share one set and every candidate is asked.
const MOST_SETS: usize = 64;

/// Which hosts can run which guests, memory aside.
#[derive(Debug, Default)]
pub(crate) struct Classes<'w> {
    /// Needs that decide something.
    names: Vec<&'w str>,
    /// Needs of each guest class, by their place in `names`.
    needs: Vec<Vec<usize>>,
    /// Guest classes that no host but their own can run.
    homebound: Vec<bool>,
    /// What each host class offers, by its place in `names`.
    offers: Vec<BTreeSet<usize>>,
    /// Class of each host.
    class_of: Vec<usize>,
    /// Sets of hosts: one for each class, or one for all.
    sets: usize,
    /// Sets that can run a guest class, one bit for each.
    served: Vec<u64>,
    /// Sets that can run few guest classes come first.
    by_worth: Vec<usize>,
    /// For each set: itself and those that can run fewer guest classes.
    modest: Vec<u64>,
}

impl<'w> Classes<'w> {
    /// Sorts hosts and guests into classes, and tells every guest its class.
    pub(crate) fn new(hosts: &[Host<'w>], guests: &mut [Guest<'w>]) -> Self {
        let found = GuestClasses::of(guests);
        let raw = HostClasses::of(hosts);
        let homebound: Vec<bool> = found.iter().map(|class| raw.nowhere_else(class)).collect();
        let names = raw.deciding(found.iter().zip(&homebound).filter(|(_, bound)| !**bound).map(|(c, _)| c));
        let number: HashMap<&str, usize> = names.iter().enumerate().map(|(id, name)| (*name, id)).collect();
        let needs = found.iter().map(|class| {
            class.needs.iter().filter_map(|need| number.get(need.as_str()).copied()).collect::<Vec<_>>()
        });
        let needs: Vec<Vec<usize>> = needs.collect();
        let mut distinct: HashMap<BTreeSet<usize>, usize> = HashMap::new();
        let mut offers = Vec::new();
        let of_raw = raw.sets.iter().map(|set| {
            let reduced: BTreeSet<usize> =
                set.iter().filter_map(|offer| number.get(offer.as_str()).copied()).collect();
            *distinct.entry(reduced).or_insert_with_key(|reduced| {
                offers.push(reduced.clone());
                offers.len() - 1
            })
        });
        let of_raw: Vec<usize> = of_raw.collect();
        let class_of = raw.class_of.iter().map(|&class| of_raw[class]).collect();
        let mut classes = Self { names, needs, homebound, offers, class_of, sets: 1, ..Self::default() };
        classes.arrange();
        classes
    }

    /// Everything that follows from needs and offers.
    fn arrange(&mut self) {
        if self.offers.len() <= MOST_SETS {
            self.sets = self.offers.len().max(1);
        }
        self.served = (0..self.needs.len())
            .map(|guest| match (self.homebound[guest], self.sets) {
                (true, _) => 0,
                (false, 1) => 1,
                (false, sets) => {
                    let able =
                        |&set: &usize| self.needs[guest].iter().all(|need| self.offers[set].contains(need));
                    (0..sets).filter(able).fold(0, |mask, set| mask | 1 << set)
                }
            })
            .collect();
        let worth: Vec<usize> = (0..self.sets)
            .map(|set| self.served.iter().filter(|mask| **mask >> set & 1 == 1).count())
            .collect();
        self.by_worth = (0..self.sets).collect();
        self.by_worth.sort_by_key(|&set| (worth[set], set));
        let modest = (0..self.sets).map(|own| {
            (0..self.sets)
                .filter(|&set| set == own || worth[set] < worth[own])
                .fold(0, |mask, set| mask | 1 << set)
        });
        self.modest = modest.collect();
    }

    /// How many sets of hosts there are; at least one.
    pub(crate) fn sets(&self) -> usize {
        self.sets
    }

    /// Whether any guest that moves cannot go everywhere.
    pub(crate) fn constrained(&self) -> bool {
        self.offers.len() > 1
    }

    /// The set of a host.
    pub(crate) fn set_of(&self, host: usize) -> usize {
        if self.sets == 1 { 0 } else { self.class_of[host] }
    }

    /// Sets that can run a guest class, one bit for each.
    pub(crate) fn served(&self, guest_class: usize) -> u64 {
        self.served[guest_class]
    }

    /// Of `served`, the sets whose hosts are not scarcer than those of `own`.
    pub(crate) fn modest(&self, own: usize) -> u64 {
        self.modest[own]
    }

    /// All sets; those that can run few guest classes come first.
    pub(crate) fn by_worth(&self) -> &[usize] {
        &self.by_worth
    }

    /// Whether the sets do not tell everything, so that every candidate has to be asked with [`Classes::serves`].
    pub(crate) fn must_ask(&self, guest_class: usize) -> bool {
        self.sets < self.offers.len() && !self.needs[guest_class].is_empty()
    }

    /// Whether a host offers all that a guest class needs.
    pub(crate) fn serves(&self, guest_class: usize, host: usize) -> bool {
        let offers = &self.offers[self.class_of[host]];
        !self.homebound[guest_class] && self.needs[guest_class].iter().all(|need| offers.contains(need))
    }

    /// Whether no host but its own can run a guest class.
    pub(crate) fn homebound(&self, guest_class: usize) -> bool {
        self.homebound[guest_class]
    }

    /// What a guest class needs and not all hosts offer.
    pub(crate) fn wanted(&self, guest_class: usize) -> Vec<&'w str> {
        self.needs[guest_class].iter().map(|&need| self.names[need]).collect()
    }
}

/// Guests that move and need the same.
struct GuestClass<'w> {
    needs: &'w BTreeSet<String>,
    /// The host that all of them are on, if they are on one.
    only_host: Option<usize>,
}

struct GuestClasses;

impl GuestClasses {
    /// Numbers the distinct sets of needs of guests that move; the class of all others is 0.
    fn of<'w>(guests: &mut [Guest<'w>]) -> Vec<GuestClass<'w>> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let mut number: HashMap<&BTreeSet<String>, usize> = HashMap::new();
        let mut classes: Vec<GuestClass<'w>> = vec![GuestClass { needs: &NONE, only_host: None }];
        for guest in guests.iter_mut().filter(|guest| guest.moves && !guest.view.needs.is_empty()) {
            let class = *number.entry(&guest.view.needs).or_insert_with(|| {
                classes.push(GuestClass { needs: &guest.view.needs, only_host: Some(guest.home) });
                classes.len() - 1
            });
            guest.class = class;
            if classes[class].only_host != Some(guest.home) {
                classes[class].only_host = None;
            }
        }
        classes
    }
}

/// Hosts that offer the same, before it is known what decides.
struct HostClasses<'w> {
    sets: Vec<&'w BTreeSet<String>>,
    class_of: Vec<usize>,
    /// Hosts in service of each class.
    count: Vec<usize>,
    in_service: Vec<bool>,
    /// Classes that offer a thing.
    offered_by: HashMap<&'w str, Vec<usize>>,
}

impl<'w> HostClasses<'w> {
    fn of(hosts: &[Host<'w>]) -> Self {
        let mut number: HashMap<&BTreeSet<String>, usize> = HashMap::new();
        let mut all = Self {
            sets: Vec::new(),
            class_of: Vec::with_capacity(hosts.len()),
            count: Vec::new(),
            in_service: hosts.iter().map(|host| host.in_service).collect(),
            offered_by: HashMap::new(),
        };
        for host in hosts {
            let offers = &host.view.offers;
            let class = *number.entry(offers).or_insert_with(|| {
                let class = all.sets.len();
                all.sets.push(offers);
                all.count.push(0);
                for offer in offers {
                    all.offered_by.entry(offer).or_default().push(class);
                }
                class
            });
            all.class_of.push(class);
            all.count[class] += usize::from(host.in_service);
        }
        all
    }

    /// Classes that offer all that is asked for; looks only at those with the rarest of it.
    fn able<'a>(&'a self, needs: &'a BTreeSet<String>) -> impl Iterator<Item = usize> + 'a {
        let with = |need: &String| self.offered_by.get(need.as_str()).map_or(&[][..], Vec::as_slice);
        let rarest = needs.iter().map(with).min_by_key(|classes| classes.len()).unwrap_or(&[]);
        rarest.iter().copied().filter(move |&class| needs.is_subset(self.sets[class]))
    }

    /// Whether no host in service could take the guests of a class, their own aside.
    fn nowhere_else(&self, class: &GuestClass<'_>) -> bool {
        if class.needs.is_empty() {
            return false;
        }
        let own = class
            .only_host
            .filter(|&host| self.in_service[host] && class.needs.is_subset(self.sets[self.class_of[host]]));
        let count: usize = self.able(class.needs).map(|able| self.count[able]).sum();
        count == usize::from(own.is_some())
    }

    /// Needs that some hosts in service offer and others do not, by name.
    fn deciding<'a>(&self, classes: impl Iterator<Item = &'a GuestClass<'w>>) -> Vec<&'w str>
    where
        'w: 'a,
    {
        let serving: usize = self.count.iter().sum();
        let needs: BTreeSet<&'w str> =
            classes.flat_map(|class| class.needs.iter()).map(String::as_str).collect();
        let offering = |need: &str| -> usize {
            self.offered_by.get(need).into_iter().flatten().map(|&class| self.count[class]).sum()
        };
        needs.into_iter().filter(|need| offering(need) < serving).collect()
    }
}
