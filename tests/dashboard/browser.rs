//! A browser, driven by the WebDriver protocol (W3C) as far as these tests need it. It and its driver end with the
//! value, whatever happens.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use skyhaul_tests::{DEADLINE, skipped};
use tempfile::TempDir;

use crate::http::{Answer, Question};
use crate::program;

/// What a browser needs to run without a screen, as root, and without asking anybody anything.
const SWITCHES: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// How WebDriver marks an element (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(crate) struct Browser {
    driver: Child,
    /// Kept open, since the driver may have more to say.
    _words: BufReader<ChildStdout>,
    port: u16,
    session: String,
    /// Gone with the value, after the browser.
    profile: TempDir,
}

impl Browser {
    /// A browser, if one is installed; else it is said that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let (Some(chromium), Some(driver)) = (program("chromium"), program("chromedriver")) else {
            skipped("chromium and chromedriver are not here: 'make setup' gets them where it can");
            return None;
        };
        let mut command = Command::new(driver);
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap();
        let mut words = BufReader::new(driver.stdout.take().unwrap());
        let port = words.by_ref().lines().find_map(|line| {
            line.ok()?.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        let (port, session) = (port.expect("the driver names its port"), String::new());
        let profile = tempfile::tempdir().unwrap();
        Some(Self { driver, _words: words, port, session, profile }.begin(&chromium))
    }

    fn begin(mut self, chromium: &Path) -> Self {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let switches: Vec<_> = SWITCHES.iter().copied().chain([profile.as_str()]).collect();
        let wanted = json!({
            "goog:chromeOptions": { "binary": chromium, "args": switches },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": DEADLINE.as_millis() as u64, "pageLoad": DEADLINE.as_millis() as u64 },
        });
        let begun = self.tell("/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        self.session = begun["sessionId"].as_str().unwrap().to_owned();
        self
    }

    pub(crate) fn go(&self, url: &str) {
        self.tell("/url", &json!({ "url": url }));
    }

    /// What a script gives back.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.tell("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of the page is true (in JavaScript's sense); gives its value.
    pub(crate) fn wait(&self, wanted: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const look = () => {{ const value = {wanted}; if (value) {{ clearInterval(timer); done(value); }} }};
             const timer = setInterval(look, 50);"
        );
        let answer = self.ask("POST", "/execute/async", &json!({ "script": script, "args": [] }));
        assert_eq!(
            answer.status,
            200,
            "{wanted} never was: {}\nThe page says:\n{}",
            answer.body,
            self.text()
        );
        answer.json()["value"].clone()
    }

    /// What a script gives to its last argument, a function.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        self.tell("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until the text of one of the elements holds this.
    pub(crate) fn wait_text(&self, selector: &str, text: &str) {
        self.wait(&format!(
            "[...document.querySelectorAll({})].some((element) => element.textContent.includes({}))",
            json!(selector),
            json!(text)
        ));
    }

    /// Clicks an element as a person does: it must be there, in sight and uncovered.
    pub(crate) fn click(&self, selector: &str) {
        self.wait(&format!("document.querySelector({})", json!(selector)));
        let element = self.element(selector);
        self.tell(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types into an element.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.tell(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// The picture of what is in sight, as PNG in base 64.
    pub(crate) fn picture(&self) -> String {
        self.ask("GET", "/screenshot", &Value::Null).json()["value"].as_str().unwrap().to_owned()
    }

    /// Sees the page as somebody with these wishes and this window would.
    pub(crate) fn look_as(&self, scheme: &str, width: u32, height: u32) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }, { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.protocol("Emulation.setEmulatedMedia", &json!({ "features": feature }));
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.protocol("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the browser complains of: blocked scripts, failed requests.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.tell("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        // The browser also tells of its own affairs, such as how slow a busy machine is.
        let is_serious = |entry: &&Value| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
        entries
            .iter()
            .filter(is_serious)
            .filter_map(|entry| entry["message"].as_str().map(str::to_owned))
            .collect()
    }

    fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    fn protocol(&self, command: &str, parameters: &Value) {
        self.tell("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.tell("/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn tell(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask("POST", path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        answer.json()["value"].clone()
    }

    /// Asks about the session, or for one.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = if self.session.is_empty() {
            path.to_owned()
        } else {
            format!("/session/{}{path}", self.session)
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Question::get(self.port, &path).sent_as(method, &body).ask()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // The driver is killed below in any case; this lets it end the browser first.
            let _ = Question::get(self.port, &format!("/session/{}", self.session))
                .sent_as("DELETE", "")
                .try_ask();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
