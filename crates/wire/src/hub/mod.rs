//! The control socket of `lifeboatd`, as a program on its computer sees it.

mod client;
mod words;

pub use client::{Heard, HubClient, HubError};
pub use words::{
    HUB_SOCKET, HostStanding, HubAnswer, HubEvent, HubEventKind, HubHost, HubRequest, MAX_HUB_LINE,
    MAX_OPEN_ORDERS, NamedText, Order, Ordered,
};
