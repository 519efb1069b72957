//! A certificate for this machine from an authority of a minute's life, made by the `openssl` program.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::Program;

/// A server's certificate and key, and the authority that vouches for it.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes them in a folder; none where there is no `openssl`.
    pub(crate) fn make(folder: &Path) -> Option<Self> {
        let openssl = Program::find(&["openssl"])?;
        let run = |line: &str| {
            let output = openssl.command().args(line.split(' ')).current_dir(folder).output().unwrap();
            assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let settings = "[req]\ndistinguished_name = name\n[name]\n\
                        [authority]\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign\n\
                        subjectKeyIdentifier = hash\n\
                        [server]\nbasicConstraints = CA:false\nextendedKeyUsage = serverAuth\n\
                        subjectAltName = IP:127.0.0.1, DNS:localhost\nauthorityKeyIdentifier = keyid\n";
        fs::write(folder.join("settings"), settings).unwrap();
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config settings";
        run(&format!(
            "req -x509 {new_key} -keyout authority.key -out authority.pem -days 2 -subj /CN=authority -extensions authority"
        ));
        run(&format!("req {new_key} -keyout server.key -out server.csr -subj /CN=localhost"));
        run(
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem \
             -days 2 -extfile settings -extensions server",
        );
        let [authority, chain, key] =
            ["authority.pem", "server.pem", "server.key"].map(|name| folder.join(name));
        Some(Self { authority, chain, key })
    }
}
