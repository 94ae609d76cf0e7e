//! Addresses of trunks that are known by name only and were looked up: written by those who resolve names, read by the gate.
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The most addresses of one trunk.
const MAX_ADDRESSES: usize = 64;

type Table = HashMap<IpAddr, Vec<Arc<str>>>;

/// Which trunks are at which address: several accounts of one carrier share it. Reading waits for nobody.
#[derive(Debug, Default)]
pub struct LearnedPeers(ArcSwap<Table>);

impl LearnedPeers {
    /// The addresses of a trunk's targets and registrar, in place of those told before. They count as the trunk only where it
    /// registers and has no `acl`.
    pub fn set(&self, trunk: &str, addresses: &[IpAddr]) {
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            table.retain(|_, names| {
                names.retain(|name| **name != *trunk);
                !names.is_empty()
            });
            let name: Arc<str> = trunk.into();
            for address in addresses.iter().take(MAX_ADDRESSES) {
                let names = table.entry(address.to_canonical()).or_default();
                if !names.contains(&name) {
                    names.push(name.clone());
                }
            }
            table
        });
    }

    /// The first trunk that was said to be at an address.
    pub fn trunk_at(&self, address: IpAddr) -> Option<Arc<str>> {
        self.trunks_at(address).first().cloned()
    }

    /// All trunks at an address.
    pub(super) fn trunks_at(&self, address: IpAddr) -> Vec<Arc<str>> {
        let table = self.0.load();
        table
            .get(&address.to_canonical())
            .cloned()
            .unwrap_or_default()
    }
}
