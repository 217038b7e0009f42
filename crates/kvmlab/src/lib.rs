//! A pool of hosts with libvirt on one machine, in namespaces.
