//! A server over a state directory of its own, and what stands behind it.

use std::path::Path;
use std::sync::Arc;

use skyhaul_control::{Client, Endpoint, EngineView, Server, Started};
use skyhaul_engine::{Progress, Scope};
use skyhaul_model::JobId;
use skyhaul_queue::{MemoryQueue, Queue};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Which way the server listens.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Socket,
    Loopback,
}

pub(crate) struct Stage {
    pub(crate) dir: TempDir,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) progress: watch::Sender<Arc<Progress>>,
    pub(crate) stop: CancellationToken,
    pub(crate) stay: CancellationToken,
    pub(crate) scope: Scope,
    pub(crate) server: Server,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_over(Way::Socket).await
    }

    pub(crate) async fn set_over(way: Way) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let queue = Arc::new(MemoryQueue::new());
        let (progress, _) = watch::channel(Arc::default());
        let stop = CancellationToken::new();
        let (stay, scope) = (CancellationToken::new(), Scope::only(JobId(u64::MAX)));
        let view = EngineView {
            progress: progress.subscribe(),
            stop: stop.clone(),
            started: Started::OnDemand,
            stay: stay.clone(),
            scope: scope.clone(),
            instruments: skyhaul_control::Instruments::default(),
        };
        let server = start(dir.path(), way, Arc::clone(&queue) as Arc<dyn Queue>, view).await.unwrap();
        Self { dir, queue, progress, stop, stay, scope, server }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.dir.path()).await.unwrap().expect("an engine answers")
    }

    /// What `engine.json` says.
    pub(crate) fn told(&self) -> serde_json::Value {
        told(self.dir.path())
    }
}

pub(crate) async fn start(
    state_dir: &Path,
    way: Way,
    queue: Arc<dyn Queue>,
    view: EngineView,
) -> skyhaul_control::Result<Server> {
    let endpoint = match way {
        Way::Socket => Endpoint::for_state_dir(state_dir)?,
        Way::Loopback => Endpoint::loopback(state_dir)?,
    };
    Server::start(endpoint, queue, view).await
}

/// A view of an engine that has ended.
pub(crate) fn no_engine() -> EngineView {
    let (_, progress) = watch::channel(Arc::default());
    EngineView {
        progress,
        stop: CancellationToken::new(),
        started: Started::Lasting,
        stay: CancellationToken::new(),
        scope: Scope::everything(),
        instruments: skyhaul_control::Instruments::default(),
    }
}

pub(crate) fn told(state_dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(state_dir.join("engine.json")).unwrap()).unwrap()
}

pub(crate) fn tell(state_dir: &Path, told: &serde_json::Value) {
    std::fs::write(state_dir.join("engine.json"), told.to_string()).unwrap();
}
