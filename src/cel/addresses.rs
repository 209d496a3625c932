//! IP addresses and ranges of them.

use std::fmt;
// Addresses are data: nothing here opens a connection.
use core::net::IpAddr;

/// An IP address. One of version 4 in the clothes of version 6 is none, and neither is one with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub(super) IpAddr);

/// A range of addresses, `10.0.0.0/8`; it remembers the address that it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub(super) address: Address,
    pub(super) length: u8,
}

impl Address {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.parse().ok()? {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => None,
            address => Some(Self(address)),
        }
    }

    /// Its bits, the first one highest, and how many there are.
    fn bits(self) -> (u128, u8) {
        match self.0 {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        }
    }

    pub(super) fn is_link_local_unicast(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }

    pub(super) fn is_link_local_multicast(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => address.octets().starts_with(&[224, 0, 0]),
            IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
        }
    }

    /// Follows Go: also true for a private address.
    pub(super) fn is_global_unicast(self) -> bool {
        let is_broadcast = matches!(self.0, IpAddr::V4(address) if address.is_broadcast());
        let is_special = self.0.is_unspecified() || self.0.is_loopback() || self.0.is_multicast();
        !is_broadcast && !is_special && !self.is_link_local_unicast()
    }
}

impl Block {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address = Address::parse(address)?;
        let is_plain =
            length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let length = length.parse().ok().filter(|length| is_plain && *length <= address.bits().1)?;
        Some(Self { address, length })
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0)
    }

    pub(super) fn contains(self, address: Address) -> bool {
        let ((own, size), (other, other_size)) = (self.address.bits(), address.bits());
        size == other_size && (own ^ other) & self.mask() == 0
    }

    pub(super) fn contains_block(self, other: Self) -> bool {
        other.length >= self.length && self.contains(other.address)
    }

    /// The range with its first address.
    pub(super) fn masked(self) -> Self {
        let bits = self.address.bits().0 & self.mask();
        let address = match self.address.0 {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(bits >> 96).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(bits.into()),
        };
        Self { address: Address(address), length: self.length }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}
