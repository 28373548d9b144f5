//! The maps of an object that is in the kernel, by their names.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use aya_obj::generated::bpf_map_type;
use pyo3::PyResult;

use crate::{
    error::Error,
    map::{Map, MapFacts, Sharing},
    shared_maps,
};

/// What a map is, and its descriptor for as long as the object is open.
type LoadedMap = (MapFacts, Arc<Mutex<Option<OwnedFd>>>);

/// The maps of an object.
pub(crate) struct LoadedMaps {
    object: String,
    maps: HashMap<String, LoadedMap>,
}

impl LoadedMaps {
    pub(crate) fn new(object: &str, maps: impl Iterator<Item = (MapFacts, OwnedFd)>) -> Self {
        let maps = maps.map(|(facts, fd)| (facts.name.clone(), (facts, Arc::new(Mutex::new(Some(fd))))));
        Self { object: object.to_owned(), maps: maps.collect() }
    }

    /// Let other objects of this process have the maps that the program makes public.
    pub(crate) fn publish(&self) {
        for (facts, fd) in self.maps.values().filter(|(facts, _)| facts.sharing == Sharing::Public) {
            shared_maps::publish(facts, fd);
        }
    }

    /// Return the map called `name`.
    pub(crate) fn get(&self, name: &str) -> PyResult<Map> {
        let (facts, fd) = self.find(name)?;
        Ok(Map::new(facts.clone(), Arc::clone(fd))?)
    }

    pub(crate) fn facts(&self, name: &str) -> Result<&MapFacts, Error> {
        Ok(&self.find(name)?.0)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.maps.contains_key(name)
    }

    /// Copy the descriptor of a map, which must be of one type: `what` it is called.
    pub(crate) fn copy(&self, name: &str, of_type: bpf_map_type, what: &str) -> PyResult<(&MapFacts, OwnedFd)> {
        let (facts, fd) = self.find(name)?;
        if !facts.is_any(&[of_type]) {
            return Err(Error::Type(format!("map `{name}` is not a {what}")).into());
        }
        let guard = fd.lock().unwrap_or_else(PoisonError::into_inner);
        let open = guard.as_ref().ok_or_else(|| Error::Closed(format!("object `{}`", self.object)))?;
        Ok((facts, open.try_clone()?))
    }

    /// Let go of all descriptors.
    pub(crate) fn close(&self) {
        for (_, fd) in self.maps.values() {
            drop(fd.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    fn find(&self, name: &str) -> Result<&LoadedMap, Error> {
        self.maps.get(name).ok_or_else(|| Error::no_such("map", name, &self.object, self.maps.keys()))
    }
}
