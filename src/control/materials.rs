//! What a plan refers to outside the spec: secrets and TLS files. Only digests are kept, to see that something changed.
//!
//! It judges nothing: whether a secret may be used is found out when the table is prepared.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::base::Digest;
use crate::plan::{Plan, SecretRef};
use crate::spec::Environment;

/// Beyond this a file is not what it should be, and is not read to its end. Bytes.
const LIMIT: u64 = 1 << 20;

/// Digests of what a plan refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Materials {
    /// All secrets together.
    pub(super) secrets: Digest,
    /// Certificate and key together.
    pub(super) tls: Digest,
    /// Every file, with its digest where it could be read whole.
    pub(super) files: Vec<(PathBuf, Option<Digest>)>,
}

impl Materials {
    /// Looks at everything that the plan refers to. Blocks.
    pub(super) fn read(plan: &Plan, env: &(dyn Environment + Send + Sync), base: &Path) -> Self {
        let mut files = Vec::new();
        let mut secrets = Vec::new();
        let credentials = plan.providers.values().flat_map(|provider| provider.credentials.values());
        let own = plan.telemetry.alert_webhook.iter();
        for secret in credentials.flat_map(|credential| credential.proof.secrets()).chain(own) {
            let path = match secret {
                SecretRef::None => continue,
                SecretRef::Env(name) => {
                    secrets.push(env.get(name).map(|value| Digest::of(value.as_bytes())));
                    continue;
                }
                SecretRef::File(path) => base.join(path),
                SecretRef::Cred(name) => match env.get("CREDENTIALS_DIRECTORY") {
                    Some(directory) => Path::new(&directory).join(name),
                    None => continue,
                },
            };
            let digest = look(&path);
            secrets.push(digest);
            files.push((path, digest));
        }
        let mut tls = Vec::new();
        for path in plan.gateway.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]) {
            let path = base.join(path);
            let digest = look(&path);
            tls.push(digest);
            files.push((path, digest));
        }
        Self { secrets: all(&secrets), tls: all(&tls), files }
    }
}

fn all(digests: &[Option<Digest>]) -> Digest {
    Digest::of_parts(digests.iter().map(|digest| digest.as_ref().map_or(b"".as_slice(), |digest| digest.as_bytes())))
}

fn look(path: &Path) -> Option<Digest> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LIMIT).then(|| Digest::of(&bytes))
}
