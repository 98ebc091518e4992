//! Looking: reads the data directory, beside a running agent or without one.

use jiff::Timestamp;
use serde_json::json;
use tenure_api::licensing::Warning;
use tenure_core::clock::{Clock, SystemClock};

use super::{
    Options, output,
    screen::{self, Status},
};
use crate::{
    Error,
    agent::{self, held_license, meta},
    dir::{DataDir, Floor, FloorFile, Seed},
    error::Result,
    machine::State,
    store::{SENT_MAX, Store},
    view::View,
};

struct Looked {
    dir: DataDir,
    seed: Seed,
    store: Store,
}

async fn look(options: &Options) -> Result<Looked> {
    let nothing = || {
        Error::refused(
            "not_started",
            format!(
                "{} holds no agent yet: run `tenure-agent run` or `tenure-agent activate` first",
                options.data_dir.display()
            ),
        )
    };
    if !options.data_dir.exists() {
        return Err(nothing());
    }
    let dir = DataDir::existing(&options.data_dir)?;
    let seed = Seed::existing(&dir)?.ok_or_else(nothing)?;
    let store = Store::look(&dir).await?.ok_or_else(nothing)?;
    Ok(Looked { dir, seed, store })
}

pub(super) fn key(options: &Options) -> Result<()> {
    let dir = DataDir::open(&options.data_dir)?;
    let seed = match Seed::existing(&dir)? {
        Some(seed) => seed,
        None => {
            let _held = dir.hold()?;
            Seed::open(&dir, None)?
        }
    };
    if options.json {
        output::json(&json!({ "thumbprint": seed.thumbprint(), "x": seed.public() }));
    } else {
        output::line(&seed.thumbprint());
    }
    Ok(())
}

pub(super) async fn status(options: &Options) -> Result<()> {
    let status = read_status(options, SystemClock.now()).await?;
    if options.json {
        output::json(&status);
    } else {
        output::line(&screen::render(&status));
    }
    Ok(())
}

async fn read_status(options: &Options, now: Timestamp) -> Result<Status> {
    let Looked { dir, seed, store } = look(options).await?;
    let keys = store.meta(meta::KEYS).await?.zip(store.meta(meta::PRODUCT).await?);
    let settings = options.settings(keys)?;
    let trust = agent::trust(&settings)?;
    let state: State = match store.state().await? {
        Some(json) => serde_json::from_str(&json)
            .map_err(|error| Error::Damaged { what: "the state", why: error.to_string() })?,
        None => State::default(),
    };
    let floor_path = settings.floor_file.clone().unwrap_or_else(|| dir.file("floor"));
    let floor_file = FloorFile::new(floor_path, &seed);
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let floor_note = match floor_file.read() {
        Floor::Missing if state.floor.is_some() => Some("the second copy is missing".to_owned()),
        Floor::Tampered => Some("the second copy was not written by this instance".to_owned()),
        _ => given(store.meta(meta::FLOOR_NOTE).await?),
    };
    let view = View {
        license: held_license(&state, &trust)?,
        revocations: store.meta(meta::REVOCATIONS).await?,
        floor_note,
        has_license_key: store.meta(meta::LICENSE_KEY).await?.is_some(),
        state,
    };
    let warnings = store.meta(meta::WARNINGS).await?;
    let warnings: Vec<Warning> =
        warnings.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(Status {
        now,
        running: dir.is_held(),
        product: trust.product().to_owned(),
        server: given(store.meta(meta::SERVER).await?),
        contact: given(store.meta(meta::CONTACT).await?).and_then(|at| at.parse().ok()),
        ledger: store.ledger().await?,
        unreported: store.unreported().await?,
        used_bytes: store.used_bytes().await?,
        used_bytes_max: settings.spool_max_bytes,
        notices: view.notices(now, &warnings),
        view,
    })
}

pub(super) async fn reports(options: &Options) -> Result<()> {
    let Looked { store, .. } = look(options).await?;
    let (ledger, unreported) = (store.ledger().await?, store.unreported().await?);
    let seq = |head: Option<tenure_license::chain::Head>| head.map_or(0, |head| head.seq);
    let answer = json!({
        "written_through": ledger.as_ref().map_or(0, |row| seq(row.head)),
        "counted_through": ledger.as_ref().map_or(0, |row| seq(row.counted)),
        "receipt": ledger.as_ref().and_then(|row| row.receipt.clone()),
        "held_after": ledger.as_ref().map_or(0, |row| seq(row.pruned)),
        "unreported": unreported,
    });
    if options.json {
        output::json(&answer);
    } else {
        output::line(&screen::reports(&answer));
    }
    Ok(())
}

pub(super) async fn sends(options: &Options) -> Result<()> {
    let Looked { store, .. } = look(options).await?;
    let max = usize::try_from(SENT_MAX).unwrap_or(usize::MAX);
    let (server, sent) = (store.meta(meta::SERVER).await?, store.sent(max).await?);
    if options.json {
        let server = server.filter(|server| !server.is_empty());
        output::json(&json!({ "to": server, "sent": sent }));
    } else {
        output::line(&screen::sends(server.as_deref().unwrap_or_default(), &sent));
    }
    Ok(())
}
