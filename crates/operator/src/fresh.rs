//! Whether a look is at a DevServer as it is, or as the cache has it.
//!
//! Most looks find nothing to do, and for these the cache is enough: what it does not have yet wakes the next look. Before the first write
//! the DevServer is read, because the cache may show one that has been deleted, or deleted and made again.

use crate::error::Error;

tokio::task_local! {
    static AS_CACHED: ();
}

/// A look at what the cache has. It ends with [`Error::Cached`] where it would write.
pub async fn as_cached<T>(look: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    AS_CACHED.scope((), look).await
}

/// Refuses when the look is at what the cache has.
pub fn check() -> Result<(), Error> {
    AS_CACHED
        .try_with(|()| ())
        .map_or(Ok(()), |()| Err(Error::Cached))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_at_the_cache_ends_where_it_would_write() {
        let writes = async || check().map(|()| "written");
        assert!(matches!(as_cached(writes()).await, Err(Error::Cached)));
        assert_eq!(writes().await.unwrap(), "written");
        let reads = async { Ok("nothing to do") };
        assert_eq!(as_cached(reads).await.unwrap(), "nothing to do");
    }
}
