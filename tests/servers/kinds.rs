//! How each server is configured: the least that makes it serve a folder from a port, without a second process, a
//! log line an answer.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::certificate::Certificate;
use crate::program::Program;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    /// nginx over TLS, with HTTP/2.
    NginxTls,
    Apache,
    Lighttpd,
    Caddy,
    Python,
}

/// What a configuration is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    /// The files to serve.
    pub(crate) files: &'a Path,
    /// A folder of the server's own; `access.log` in it is its log.
    pub(crate) own: &'a Path,
    pub(crate) port: u16,
    pub(crate) certificate: Option<&'a Certificate>,
}

impl Kind {
    /// Its program, where it is installed.
    pub(crate) fn program(self) -> Option<Program> {
        Program::find(match self {
            Self::Nginx | Self::NginxTls => &["nginx"],
            Self::Apache => &["apache2", "httpd"],
            Self::Lighttpd => &["lighttpd"],
            Self::Caddy => &["caddy"],
            Self::Python => &["python3"],
        })
    }

    /// Writes its configuration; the command that runs it in the foreground.
    pub(crate) fn command(self, program: &Program, setting: Setting<'_>) -> Command {
        let mut command = program.command();
        let Setting { files, own, port, certificate } = setting;
        let configuration = own.join("conf");
        let write = |text: String| fs::write(&configuration, text).unwrap();
        match self {
            Self::Nginx | Self::NginxTls => {
                write(nginx(setting, certificate));
                command.arg("-p").arg(own).arg("-e").arg(own.join("error.log")).arg("-c").arg(&configuration);
            }
            Self::Apache => {
                write(apache(program, setting));
                command.args(["-X", "-f"]).arg(&configuration);
            }
            Self::Lighttpd => {
                let (files, own) = (files.display(), own.display());
                write(format!(
                    "server.document-root = \"{files}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
                     server.errorlog = \"{own}/error.log\"\ndir-listing.activate = \"enable\"\n"
                ));
                command.args(["-D", "-f"]).arg(&configuration);
                command.args(
                    program.folder(&["lib/lighttpd"]).map(|modules| format!("-m{}", modules.display())),
                );
            }
            Self::Caddy => {
                command.args(["file-server", "--browse", "--listen", &format!("127.0.0.1:{port}")]);
                command.arg("--root").arg(files).env("HOME", own);
            }
            Self::Python => {
                command.args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1", "--directory"]);
                command.arg(files).env("HOME", std::env::var_os("HOME").unwrap_or_default());
            }
        }
        command
    }
}

fn nginx(Setting { files, own, port, .. }: Setting<'_>, certificate: Option<&Certificate>) -> String {
    let (files, own) = (files.display(), own.display());
    let (listen, tls) = match certificate {
        None => (format!("127.0.0.1:{port}"), String::new()),
        Some(Certificate { chain, key, .. }) => {
            let (chain, key) = (chain.display(), key.display());
            let tls = format!("ssl_certificate {chain}; ssl_certificate_key {key};");
            (format!("127.0.0.1:{port} ssl http2"), tls)
        }
    };
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {own}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {own}/pid;\nevents {{}}\nhttp {{\n{folders}\
         log_format told '$status $body_bytes_sent $server_protocol $request_uri';\naccess_log {own}/access.log told;\n\
         server {{ listen {listen}; {tls} root {files}; autoindex on; }}\n}}\n"
    )
}

fn apache(program: &Program, Setting { files, own, port, .. }: Setting<'_>) -> String {
    let folder = program.folder(&["lib/apache2/modules", "lib64/httpd/modules", "lib/httpd/modules"]);
    let folder = folder.unwrap_or_default();
    // Distributions differ in what they have built in.
    let modules: String = ["mpm_event", "authz_core", "dir", "autoindex", "mime"]
        .iter()
        .filter(|name| folder.join(format!("mod_{name}.so")).is_file())
        .map(|name| format!("LoadModule {name}_module {}/mod_{name}.so\n", folder.display()))
        .collect();
    fs::write(own.join("mime.types"), "application/x-gzip gz\n").unwrap();
    let (files, own) = (files.display(), own.display());
    format!(
        "ServerName localhost\nServerRoot {own}\nPidFile {own}/pid\nDefaultRuntimeDir {own}\nListen 127.0.0.1:{port}\n\
         {modules}User nobody\nGroup #65534\nErrorLog {own}/error.log\nTypesConfig {own}/mime.types\n\
         DocumentRoot {files}\n<Directory {files}>\nRequire all granted\nOptions +Indexes\n</Directory>\n"
    )
}
