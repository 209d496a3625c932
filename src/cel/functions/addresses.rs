//! IP addresses and ranges of them.

#![allow(clippy::unnecessary_wraps, reason = "the table wants functions that can fail")]

use super::super::Failure;
use super::super::addresses::{Address, Block};
use super::super::value::CelValue;
use super::{ArgumentKind, Call, Evaluated, Function, Gives, Style, method};

const fn of_text(name: &'static str, gives: Gives, run: super::FunctionBody) -> Function {
    Function { name, style: Style::Global, takes: &[ArgumentKind::Text], optional: 0, gives, run }
}

const fn test(name: &'static str, run: super::FunctionBody) -> Function {
    method(name, &[ArgumentKind::Address], Gives::Bool, run)
}

pub(super) const TABLE: &[Function] = &[
    of_text("ip", Gives::Address, |call| address(call, 0).map(CelValue::Address)),
    of_text("isIP", Gives::Bool, |call| Ok(CelValue::Bool(address(call, 0).is_ok()))),
    of_text("ip.isCanonical", Gives::Bool, |call| {
        address(call, 0).map(|address| CelValue::Bool(address.to_string() == call.text(0)))
    }),
    method("family", &[ArgumentKind::Address], Gives::Int, |call| {
        address(call, 0).map(|address| CelValue::Int(if address.0.is_ipv4() { 4 } else { 6 }))
    }),
    test("isUnspecified", |call| is(call, |address| address.0.is_unspecified())),
    test("isLoopback", |call| is(call, |address| address.0.is_loopback())),
    test("isLinkLocalUnicast", |call| is(call, Address::is_link_local_unicast)),
    test("isLinkLocalMulticast", |call| is(call, Address::is_link_local_multicast)),
    test("isGlobalUnicast", |call| is(call, Address::is_global_unicast)),
    of_text("cidr", Gives::Block, |call| block(call, 0).map(CelValue::Block)),
    of_text("isCIDR", Gives::Bool, |call| Ok(CelValue::Bool(block(call, 0).is_ok()))),
    method("containsIP", &[ArgumentKind::Block, ArgumentKind::Address], Gives::Bool, contains_address),
    method("containsIP", &[ArgumentKind::Block, ArgumentKind::Text], Gives::Bool, contains_address),
    method("containsCIDR", &[ArgumentKind::Block, ArgumentKind::Block], Gives::Bool, contains_block),
    method("containsCIDR", &[ArgumentKind::Block, ArgumentKind::Text], Gives::Bool, contains_block),
    method("ip", &[ArgumentKind::Block], Gives::Address, |call| {
        Ok(CelValue::Address(block(call, 0)?.address))
    }),
    method("masked", &[ArgumentKind::Block], Gives::Block, |call| {
        Ok(CelValue::Block(block(call, 0)?.masked()))
    }),
    method("prefixLength", &[ArgumentKind::Block], Gives::Int, |call| {
        Ok(CelValue::Int(block(call, 0)?.length.into()))
    }),
];

/// An argument as an address, whether it is one or a text.
fn address(call: &Call<'_, '_>, index: usize) -> Result<Address, Failure> {
    match call.args.get(index) {
        Some(CelValue::Address(address)) => Ok(*address),
        _ => Address::parse(call.text(index)).ok_or_else(|| Failure::new("the text is not an IP address")),
    }
}

fn block(call: &Call<'_, '_>, index: usize) -> Result<Block, Failure> {
    match call.args.get(index) {
        Some(CelValue::Block(block)) => Ok(*block),
        _ => Block::parse(call.text(index))
            .ok_or_else(|| Failure::new("the text is not a range of addresses, such as 10.0.0.0/8")),
    }
}

fn is<'v>(call: &Call<'_, 'v>, holds: impl Fn(Address) -> bool) -> Evaluated<'v> {
    address(call, 0).map(|address| CelValue::Bool(holds(address)))
}

fn contains_address<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(CelValue::Bool(block(call, 0)?.contains(address(call, 1)?)))
}

fn contains_block<'v>(call: &mut Call<'_, 'v>) -> Evaluated<'v> {
    Ok(CelValue::Bool(block(call, 0)?.contains_block(block(call, 1)?)))
}
