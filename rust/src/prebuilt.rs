//! The objects that rtrace brings along, one for each shape, built from `ebpf/programs` by `make ebpf`.

macro_rules! prebuilt {
    ($($shape:literal),+ $(,)?) => {
        &[$(($shape, include_bytes!(concat!("../../ebpf/prebuilt/", $shape, ".o")))),+]
    };
}

const OBJECTS: &[(&str, &[u8])] = prebuilt!["function_latency", "tracepoint_events", "tracepoint_latency"];

/// Return the object of a shape.
pub(crate) fn object(shape: &str) -> Option<&'static [u8]> {
    OBJECTS.iter().find(|(name, _)| *name == shape).map(|(_, data)| *data)
}

/// Return the names of all shapes, for messages.
pub(crate) fn names() -> String {
    OBJECTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
