// Throughput over time, drawn by hand: a curve of bytes a second, and a mark below where attempts failed.

import { byId, draw, make, tell } from './dom.js';
import { bytes, count, rate } from './format.js';

const SPANS = {
  hour: { label: 'Last hour', refresh: 10_000, ticks: 4, tick: 900 },
  day: { label: 'Last day', refresh: 60_000, ticks: 4, tick: 21_600 },
  month: { label: 'Last month', refresh: 60_000, ticks: 5, tick: 604_800 },
};
const [LEFT, BOTTOM, TOP] = [64, 22, 8];

export class Chart {
  #place = byId('chart');
  #tip = make('div', { class: 'tip', hidden: true });
  #series = null;

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#place);
    this.#place.addEventListener('pointermove', (event) => this.#point(event));
    this.#place.addEventListener('pointerleave', () => this.#unpoint());
  }

  /** How long what was taken stays fresh, in milliseconds. */
  static refresh(span) {
    return SPANS[span].refresh;
  }

  /** Takes an answer of /v1/series. */
  take(series) {
    const first = series.until_s - (series.steps - 1) * series.step_s;
    const points = Array.from({ length: series.steps }, (_, place) => ({ at: first + place * series.step_s, bytes: 0, files: 0, errors: 0 }));
    for (const [at, amount, files, errors] of series.points) {
      const point = points[Math.round((at - first) / series.step_s)];
      if (point) Object.assign(point, { bytes: amount, files, errors });
    }
    // The step under way has not been counted yet: without it the curve would always end at zero.
    if (points.at(-1).bytes === 0) points.pop();
    this.#series = { ...series, points };
    const sum = (key) => points.reduce((all, point) => all + point[key], 0);
    tell(byId('span-label'), SPANS[series.span].label);
    tell(byId('span-sum'), bytes(sum('bytes')));
    tell(byId('span-errors'), count(sum('errors')));
    this.#draw();
  }

  #draw() {
    if (this.#series === null || this.#place.clientWidth === 0) return;
    const { points, step_s: step, span } = this.#series;
    const [width, height] = [this.#place.clientWidth, this.#place.clientHeight];
    const most = niceTop(Math.max(1000, ...points.map((point) => point.bytes / step)));
    const x = (place) => LEFT + ((width - LEFT) * place) / (points.length - 1);
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / most);
    const path = points.map((point, place) => `${place === 0 ? 'M' : 'L'}${x(place).toFixed(1)} ${y(point.bytes / step).toFixed(1)}`).join('');
    const svg = draw('svg', { role: 'img', 'aria-label': this.#words(span), viewBox: `0 0 ${width} ${height}` });
    for (const part of [0, 0.5, 1]) {
      const line = y(most * part);
      svg.append(draw('line', { class: 'grid', x1: LEFT, x2: width, y1: line, y2: line }),
        draw('text', { x: LEFT - 8, y: line + 4, 'text-anchor': 'end', text: rate(most * part) }));
    }
    for (const [place, label] of ticks(points, SPANS[span].tick, span)) {
      if (x(place) > LEFT + 24 && x(place) < width - 24) svg.append(draw('text', { x: x(place), y: height - 4, 'text-anchor': 'middle', text: label }));
    }
    svg.append(draw('path', { class: 'area', d: `${path}L${x(points.length - 1)} ${y(0)}L${LEFT} ${y(0)}Z` }), draw('path', { class: 'curve', d: path }));
    points.forEach((point, place) => {
      if (point.errors > 0) svg.append(draw('path', { class: 'error', d: `M${x(place)} ${y(0) - 1}l-3.5 7h7z` }));
    });
    this.#place.replaceChildren(svg, this.#tip);
  }

  #words(span) {
    const { points, step_s: step } = this.#series;
    const all = (key) => points.reduce((sum, point) => sum + point[key], 0);
    const most = Math.max(...points.map((point) => point.bytes / step));
    return `${SPANS[span].label}: ${bytes(all('bytes'))} and ${count(all('files'))} files received, at most ${rate(most)}, ${count(all('errors'))} failed attempts`;
  }

  #point(event) {
    if (this.#series === null) return;
    const { points, step_s: step } = this.#series;
    const { left, width } = this.#place.getBoundingClientRect();
    const place = Math.round(((event.clientX - left - LEFT) / (width - LEFT)) * (points.length - 1));
    const point = points[place];
    if (!point) return this.#unpoint();
    const at = new Date(point.at * 1000).toLocaleString('en-CA', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false });
    const failed = point.errors > 0 ? ` · ${count(point.errors)} failed` : '';
    this.#tip.textContent = `${at} · ${rate(point.bytes / step)} · ${count(point.files)} files${failed}`;
    this.#tip.hidden = false;
    const here = LEFT + ((width - LEFT) * place) / (points.length - 1);
    this.#tip.style.left = `${Math.min(here + 10, width - this.#tip.offsetWidth)}px`;
  }

  #unpoint() {
    this.#tip.hidden = true;
  }
}

/** The next round number at or above a value. */
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= value);
}

/** Places that stand on a round time of day, and how they are called. */
function ticks(points, every, span) {
  const offset = new Date().getTimezoneOffset() * 60;
  const name = (at) => new Date(at * 1000).toLocaleString('en-CA', span === 'month'
    ? { month: 'short', day: 'numeric' } : { hour: '2-digit', minute: '2-digit', hour12: false });
  const crossed = (place) => Math.floor((points[place].at - offset) / every) !== Math.floor((points[place - 1].at - offset) / every);
  return points.map((point, place) => [place, name(point.at)]).filter(([place]) => place > 0 && crossed(place));
}
