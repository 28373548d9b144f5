//! Maps that objects of this process share by name: `BPF_TABLE_PUBLIC` in one of them, `"extern"` in the others.
//!
//! The list is the process's, as bcc's is: the objects know nothing of each other but the map's name. It holds nothing
//! open; a map whose object is closed is no longer there for new ones, and stays with those that have it.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use crate::{
    error::Error,
    map::{MapFacts, Sharing},
};

type Public = (MapFacts, Weak<Mutex<Option<OwnedFd>>>);

static PUBLIC: LazyLock<Mutex<HashMap<String, Public>>> = LazyLock::new(Mutex::default);

/// Let others have a map; of several of the same name, the last one counts.
pub(crate) fn publish(facts: &MapFacts, fd: &Arc<Mutex<Option<OwnedFd>>>) {
    let mut public = PUBLIC.lock().unwrap_or_else(PoisonError::into_inner);
    public.retain(|_, (_, fd)| fd.strong_count() > 0);
    public.insert(facts.name.clone(), (facts.clone(), Arc::downgrade(fd)));
}

/// Find the maps of an object that others have made public, and note what they really are.
pub(crate) fn find_extern(maps: &mut HashMap<String, MapFacts>) -> Result<HashMap<String, OwnedFd>, Error> {
    let mut found = HashMap::new();
    for (name, facts) in maps.iter_mut().filter(|(_, facts)| facts.sharing == Sharing::Extern) {
        let failed = |source| Error::Map { operation: "share", map: name.clone(), source };
        let (theirs, fd) = find(name).map_err(failed)?.ok_or_else(|| {
            let cause = "no open object of this process has made a map of that name public";
            failed(io::Error::new(io::ErrorKind::NotFound, cause))
        })?;
        if (theirs.key_size, theirs.value_size) != (facts.key_size, facts.value_size) {
            let cause = format!(
                "its keys have {} and its values {} bytes, those of the public map {} and {}",
                facts.key_size, facts.value_size, theirs.key_size, theirs.value_size
            );
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, cause)));
        }
        (facts.map_type, facts.max_entries, facts.flags) = (theirs.map_type, theirs.max_entries, theirs.flags);
        found.insert(name.clone(), fd);
    }
    Ok(found)
}

fn find(name: &str) -> io::Result<Option<(MapFacts, OwnedFd)>> {
    let public = PUBLIC.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((facts, fd)) = public.get(name) else { return Ok(None) };
    let Some(fd) = fd.upgrade() else { return Ok(None) };
    let fd = fd.lock().unwrap_or_else(PoisonError::into_inner);
    let fd = fd.as_ref().map(OwnedFd::try_clone).transpose()?;
    Ok(fd.map(|fd| (facts.clone(), fd)))
}
