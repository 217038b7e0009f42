//! What is answered to a request.
//!
//! Owns: the one place where every request of the socket is mapped to its doing. Promises: the same answer whether it
//! came over the socket or is given by the command line while no `lifeboatd` runs. Does not: stream events.

use lifeboat_model::chain;
use lifeboat_wire::{HubAnswer, HubRequest};

use super::{hosts, orders};
use crate::{Controller, Entry};

/// Answers a request; the reason if it is refused.
pub async fn answer(controller: &Controller, request: HubRequest) -> HubAnswer {
    try_answer(controller, request).await.unwrap_or_else(|reason| HubAnswer::Refused { reason })
}

async fn try_answer(controller: &Controller, request: HubRequest) -> Result<HubAnswer, String> {
    match request {
        HubRequest::Hosts { host } => Ok(hosts::list(controller, host.as_deref())),
        HubRequest::Order { orders } => orders::take(controller, orders).await,
        HubRequest::Withdraw { host, key } => orders::withdraw(controller, host, key).await,
        HubRequest::Orders { host } => Ok(orders::open(controller, host.as_deref())),
        HubRequest::Watch { .. } => Err("events are told by a running lifeboatd only".to_owned()),
        HubRequest::Offer { digest, path } => {
            if !path.is_absolute() {
                return Err(format!("{} is not an absolute path", path.display()));
            }
            let looked = std::fs::File::open(&path).and_then(|file| file.metadata());
            let looked = looked.map_err(|error| {
                format!("lifeboatd cannot read {}: {error}; it runs as a user of its own", path.display())
            })?;
            if !looked.is_file() {
                return Err(format!("{} is not a file", path.display()));
            }
            append(controller, Entry::Offered { digest, path }).await?;
            Ok(HubAnswer::Offered { len: looked.len() })
        }
        HubRequest::EndOffer { digest } => {
            append(controller, Entry::OfferEnded { digest }).await?;
            Ok(HubAnswer::Done {})
        }
        HubRequest::AddHost { host, token_secs } => hosts::add(controller, &host, token_secs).await,
        HubRequest::Revoke { host, serial } => hosts::revoke(controller, &host, serial.as_deref()).await,
        HubRequest::RemoveHost { host } => hosts::remove(controller, &host).await,
        HubRequest::Authority {} => Ok(HubAnswer::Authority {
            certificate: controller.authority.pem().to_owned(),
            fingerprint: controller.authority.fingerprint().to_string(),
            pool: controller.authority.pool().as_str().to_owned(),
            until: controller.authority.until(),
            revocation_list: controller.revocation_list().map_err(|error| chain(&error))?,
            revocation_number: controller.revocations.list().number,
        }),
        HubRequest::IssueLibvirt { host, names } => hosts::issue_libvirt(controller, &host, &names).await,
    }
}

/// Adds an entry to the ledger; whether it changed anything.
pub(super) async fn append(controller: &Controller, entry: Entry) -> Result<bool, String> {
    let changed = controller.ledger.append(vec![entry]).await.map_err(|error| chain(&*error))?;
    Ok(changed == [true])
}
