//! Loopback addresses for servers that take no port 0 that they would tell of.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Result, bail};

/// Below the ports that the kernel gives away by itself.
const FIRST: u16 = 10_000;
const LAST: u16 = 30_000;

/// An address that nobody listens on and that nobody will be given: of all the addresses that
/// are this machine, one that this process alone uses, and each port of it once.
pub fn free() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST);
    // A process id has 22 bits; 127.0.x.x, that others use, is left out.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 0x40 | high, middle, low);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if port >= LAST {
            bail!("no port of {own} is free");
        }
        match TcpListener::bind((own, port)) {
            Ok(listener) => return Ok(listener.local_addr()?),
            // Somebody listens there on all addresses.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    }
}
