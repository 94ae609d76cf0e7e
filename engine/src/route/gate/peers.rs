//! Addresses of trunks that are known by name only and were looked up: written by those who resolve names, read by the gate.
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The most addresses of one trunk.
const MAX_ADDRESSES: usize = 64;

type Table = HashMap<IpAddr, Arc<str>>;

/// Which trunk is at which address. Reading waits for nobody.
#[derive(Debug, Default)]
pub struct LearnedPeers(ArcSwap<Table>);

impl LearnedPeers {
    /// The addresses of a trunk's targets and registrar, in place of those told before. They count as the trunk only where it
    /// registers and has no `acl`.
    pub fn set(&self, trunk: &str, addresses: &[IpAddr]) {
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            table.retain(|_, name| **name != *trunk);
            let name: Arc<str> = trunk.into();
            for address in addresses.iter().take(MAX_ADDRESSES) {
                table
                    .entry(address.to_canonical())
                    .or_insert_with(|| name.clone());
            }
            table
        });
    }

    /// The trunk at an address.
    pub fn trunk_at(&self, address: IpAddr) -> Option<Arc<str>> {
        self.0.load().get(&address.to_canonical()).cloned()
    }
}
