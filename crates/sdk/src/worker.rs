//! The one thread that asks the network, with a runtime of its own, so that products need none.

use std::{
    pin::Pin,
    sync::{
        Weak,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{Error, source::Source, tenure::Core};

/// How often usage is sent.
const TICK: Duration = Duration::from_secs(5);

type Task = Box<dyn FnOnce(&tokio::runtime::Runtime) + Send>;
type Future<T> = Pin<Box<dyn std::future::Future<Output = Result<T, Error>> + Send>>;

enum Command {
    Do(Task),
    Tend(Weak<Core>),
}

/// A handle; the thread ends when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Worker(Sender<Command>);

impl Worker {
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| Error::Stopped)?;
        let (sender, receiver) = mpsc::channel();
        let run = move || {
            let mut tended = Weak::new();
            let mut due = Instant::now();
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok(Command::Do(task)) => task(&runtime),
                    Ok(Command::Tend(core)) => {
                        due = Instant::now() + interval(&core);
                        tended = core;
                    }
                    Err(RecvTimeoutError::Timeout) => runtime.block_on(tend(&tended, &mut due)),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let spawned = thread::Builder::new().name("tenure".into()).spawn(run);
        spawned.map_err(|_| Error::Stopped)?;
        Ok(Self(sender))
    }

    /// Looks after a license from now on.
    pub(crate) fn tend(&self, core: Weak<Core>) {
        // Without a thread nothing is tended; whoever asks it for something is told.
        let _ = self.0.send(Command::Tend(core));
    }

    /// Runs a future on the thread and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> Future<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = mpsc::channel();
        let task: Task = Box::new(move |runtime| {
            let _ = reply.send(runtime.block_on(make()));
        });
        self.0.send(Command::Do(task)).map_err(|_| Error::Stopped)?;
        answer.recv().map_err(|_| Error::Stopped)?
    }
}

fn interval(core: &Weak<Core>) -> Duration {
    let core = core.upgrade();
    core.and_then(|core| core.source.as_ref().map(Source::refresh_every)).unwrap_or(TICK)
}

async fn tend(core: &Weak<Core>, due: &mut Instant) {
    let Some(core) = core.upgrade() else { return };
    if let (Some(usage), Some(source)) = (&core.usage, &core.source) {
        usage.flush_patiently(source).await;
    }
    if let Some(source) = &core.source
        && Instant::now() >= *due
    {
        *due = Instant::now() + source.refresh_every();
        if let Err(error) = core.refresh().await {
            tracing::warn!(%error, code = error.code(), "the license was not renewed");
        }
    }
}
