//! The root image of a bundle on its way into a bank: a stream of blocks (format 1) or pieces (format 2).

use std::io::{Empty, Read};

use lifeboat_bank::install::{
    Image, InstallError, InstallRequest, Installed, Step, bootstrap, bootstrap_from, install, install_from,
};
use lifeboat_bank::layout::Layout;
use lifeboat_bundle::{Assembly, AssemblyReport, Bundle, BundleError, Seed, SlotReader, Verified, slot};
use lifeboat_model::Bank;
use lifeboat_model::io::WriteAt;

use crate::files::FileAt;

/// Where the root image comes from.
pub(super) enum Root<'a> {
    /// From nowhere: for a rehearsal.
    Nothing(Empty),
    /// Format 1.
    Stream(Box<SlotReader<'a, FileAt>>),
    /// Format 2.
    Pieces(Box<Assembly<'a>>),
}

type Tell<'t> = &'t mut dyn FnMut(Step, u64, u64);

impl<'a> Root<'a> {
    pub(super) fn nothing() -> Self {
        Self::Nothing(std::io::empty())
    }

    /// The root image of `bundle`, with what `seeds` have of it.
    pub(super) fn of(
        bundle: &'a Verified<Bundle<FileAt>>,
        seeds: Vec<&'a dyn Seed>,
    ) -> Result<Self, BundleError> {
        match bundle.chunked() {
            None => Ok(Self::Stream(Box::new(bundle.slot(slot::ROOT)?))),
            Some(release) => Ok(Self::Pieces(Box::new(Assembly::new(release, slot::ROOT, bundle, seeds)?))),
        }
    }

    /// Whether what will be taken of the bundle is as it was signed. Asked before the first write.
    pub(super) fn check(&self, progress: &mut (dyn FnMut(u64) + Send)) -> Result<(), BundleError> {
        match self {
            Self::Nothing(_) | Self::Stream(_) => Ok(()),
            Self::Pieces(assembly) => assembly.check_source(progress),
        }
    }

    /// Where its bytes come from, or came from after an install.
    pub(super) fn report(&self) -> Option<&AssemblyReport> {
        match self {
            Self::Nothing(_) | Self::Stream(_) => None,
            Self::Pieces(assembly) => Some(assembly.report()),
        }
    }

    pub(super) fn install(
        &mut self,
        disk: &mut dyn WriteAt,
        layout: &Layout,
        request: &InstallRequest<'_>,
        tell: Tell<'_>,
    ) -> Result<Installed, InstallError> {
        let stream: &mut dyn Read = match self {
            Self::Pieces(assembly) => return install_from(disk, layout, request, &mut **assembly, tell),
            Self::Stream(stream) => &mut **stream,
            Self::Nothing(nothing) => nothing,
        };
        install(disk, layout, request, stream, tell)
    }

    pub(super) fn bootstrap(
        &mut self,
        disk: &mut dyn WriteAt,
        layout: &Layout,
        bank: Bank,
        image: &Image<'_>,
        tell: Tell<'_>,
    ) -> Result<Installed, InstallError> {
        let stream: &mut dyn Read = match self {
            Self::Pieces(assembly) => {
                return bootstrap_from(disk, layout, bank, image, &mut **assembly, tell);
            }
            Self::Stream(stream) => &mut **stream,
            Self::Nothing(nothing) => nothing,
        };
        bootstrap(disk, layout, bank, image, stream, tell)
    }
}
