//! State of a host: configuration, network, definitions; saved, compared, restored.
