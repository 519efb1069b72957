//! The controller's curves as a picture: what each simulated world makes of it, in `docs/controller.svg`.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::sim::{Outcome, run, worlds};

const SHOWN: Duration = Duration::from_secs(20);
const COLUMNS: usize = 3;
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 150.0;
/// Around a panel's plot: left, top, right, bottom.
const MARGIN: [f64; 4] = [38.0, 30.0, 28.0, 22.0];

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#444}.title{font-weight:600}\
.frame{fill:none;stroke:#bbb}.goodput{fill:none;stroke:#0a7d4f;stroke-width:1.8}\
.flight{fill:none;stroke:#b25a00;stroke-width:1.3}.best{stroke:#0a7d4f;stroke-dasharray:3 3;opacity:.5}\
text.goodput{fill:#0a7d4f;stroke:none}text.flight{fill:#b25a00;stroke:none}\
@media(prefers-color-scheme:dark){text{fill:#ccc}.frame{stroke:#555}.goodput,.best{stroke:#3ecf8e}\
.flight{stroke:#ffab57}text.goodput{fill:#3ecf8e}text.flight{fill:#ffab57}}";

/// Every world in a panel of its own.
fn picture() -> String {
    let worlds = worlds();
    let rows = worlds.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64 + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"goodput and requests in flight over {} seconds in each simulated world\">\n<style>{STYLE}</style>\n",
        SHOWN.as_secs()
    );
    let legend = height - 6.0;
    let _ = writeln!(
        svg,
        "<text class=\"goodput\" x=\"38\" y=\"{legend}\">goodput, part of the best possible (dashed)</text>\
         <text class=\"flight\" x=\"338\" y=\"{legend}\">requests in flight</text>\
         <text x=\"638\" y=\"{legend}\">over {} s</text>",
        SHOWN.as_secs()
    );
    for (index, (name, world, allowance, best)) in worlds.into_iter().enumerate() {
        let (x, y) = ((index % COLUMNS) as f64 * WIDTH, (index / COLUMNS) as f64 * HEIGHT);
        panel(&mut svg, (x, y), name, &run(&world, allowance, SHOWN), best);
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, (x, y): (f64, f64), name: &str, outcome: &Outcome, best: f64) {
    let [left, top, right, bottom] = MARGIN;
    let (wide, high) = (WIDTH - left - right, HEIGHT - top - bottom);
    let (x, y) = (x + left, y + top);
    let ceiling = f64::from(outcome.most);
    let line = |of: &dyn Fn(usize) -> f64| {
        let mut points = String::new();
        for (index, sample) in outcome.samples.iter().enumerate() {
            let across = x + wide * sample.at.as_secs_f64() / SHOWN.as_secs_f64();
            let _ = write!(points, "{across:.1},{:.1} ", y + high * (1.0 - of(index)));
        }
        points
    };
    let goodput = line(&|index| (outcome.samples[index].goodput / best / 1.1).min(1.0));
    let flight = line(&|index| f64::from(outcome.samples[index].in_flight) / ceiling / 1.1);
    let full = y + high * (1.0 - 1.0 / 1.1);
    let (end, base) = (x + wide, y + high);
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"{x}\" y=\"{}\">{name}</text>\
         <rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\"/>\
         <line class=\"best\" x1=\"{x}\" y1=\"{full:.1}\" x2=\"{end}\" y2=\"{full:.1}\"/>\
         <polyline class=\"flight\" points=\"{}\"/><polyline class=\"goodput\" points=\"{}\"/>\
         <text class=\"goodput\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">100%</text>\
         <text class=\"flight\" x=\"{}\" y=\"{:.1}\">{}</text><text x=\"{}\" y=\"{:.1}\">0</text>",
        y - 8.0,
        flight.trim_end(),
        goodput.trim_end(),
        x - 4.0,
        full + 4.0,
        end + 4.0,
        full + 4.0,
        outcome.most,
        end + 4.0,
        base + 4.0,
    );
}

fn place() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/controller.svg")
}

#[test]
#[ignore = "writes docs/controller.svg: make bench-controller"]
fn draw() {
    std::fs::write(place(), picture()).unwrap();
}

#[test]
fn the_picture_in_the_docs_is_of_this_controller() {
    let shown = std::fs::read_to_string(place()).unwrap();
    assert!(shown == picture(), "docs/controller.svg is of another controller: make bench-controller");
}
