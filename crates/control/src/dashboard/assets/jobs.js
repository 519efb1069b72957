// The list of jobs: as long as the queue, with elements for the lines in sight alone. The list has the focus and
// names its chosen line (ARIA listbox), so that arrows work the same at 3 jobs and at 10 000.

import { byId, make, meter, tell } from './dom.js';
import { bytes, count, duration, rate, share, title } from './format.js';

const LINE = 64;
/** Lines around those in sight that are kept ready, and the step in which they are asked for. */
const SPARE = 20;

export class Jobs {
  #list = byId('jobs');
  #rows = make('div', { class: 'rows', role: 'presentation' });
  #known = new Map();
  #order = [];
  #total = 0;
  #from = 0;
  #chosen = null;
  #wanted = NaN;
  #onChoose;
  #onRange;
  #onKey;

  constructor({ onChoose, onRange, onKey }) {
    this.#onChoose = onChoose;
    this.#onRange = onRange;
    this.#onKey = onKey;
    this.#list.append(this.#rows);
    this.#list.addEventListener('scroll', () => this.#look(), { passive: true });
    this.#list.addEventListener('keydown', (event) => this.#press(event));
    this.#rows.addEventListener('click', (event) => {
      const row = event.target.closest('.row');
      if (row) this.#choose(Number(row.dataset.job));
    });
    new ResizeObserver(() => this.#look()).observe(this.#list);
  }

  /** The lines to ask for: those in sight and some around them. */
  range() {
    const first = Math.floor(this.#list.scrollTop / LINE / SPARE) * SPARE;
    const seen = Math.ceil((this.#list.clientHeight || 600) / LINE);
    return { from: Math.max(0, first - SPARE), count: Math.ceil(seen / SPARE) * SPARE + 3 * SPARE };
  }

  toTop() {
    this.#list.scrollTop = 0;
  }

  select(job) {
    this.#chosen = job;
    this.#show();
  }

  job(id) {
    return this.#known.get(id);
  }

  /** Takes what is new; `from` is the line that the news begin with. */
  take(news, from) {
    if (news.total !== undefined) this.#total = news.total;
    for (const row of news.rows ?? []) this.#known.set(row.id, row);
    if (news.order) {
      this.#order = news.order;
      this.#from = from;
      const kept = new Set([...news.order, this.#chosen]);
      for (const id of this.#known.keys()) if (!kept.has(id)) this.#known.delete(id);
    }
    this.#show();
    this.#chooseWanted();
  }

  #look() {
    this.#onRange(this.range());
  }

  #show() {
    this.#list.hidden = this.#total === 0;
    this.#rows.style.height = `${this.#total * LINE}px`;
    const old = new Map([...this.#rows.children].map((row) => [Number(row.dataset.job), row]));
    const rows = this.#order.map((id, place) => {
      const row = old.get(id) ?? blank(id);
      this.#fill(row, this.#known.get(id), this.#from + place);
      return row;
    });
    if (rows.length !== this.#rows.children.length || rows.some((row, place) => row !== this.#rows.children[place])) {
      this.#rows.replaceChildren(...rows);
    }
    const isShown = this.#order.includes(this.#chosen);
    if (isShown) this.#list.setAttribute('aria-activedescendant', `job-${this.#chosen}`);
    else this.#list.removeAttribute('aria-activedescendant');
  }

  #fill(row, job, place) {
    row.style.top = `${place * LINE}px`;
    row.setAttribute('aria-posinset', place + 1);
    row.setAttribute('aria-setsize', this.#total);
    row.setAttribute('aria-selected', String(job.id === this.#chosen));
    if (row.shown === job) return;
    row.shown = job;
    const [name, state, sub, pace, bar] = row.children;
    const what = job.name === null ? '' : ` · ${job.what}`;
    name.title = `${title(job)}${what}`;
    name.replaceChildren(title(job), make('i', { text: ` #${job.id}${what}` }));
    tell(state, job.state);
    state.className = `state ${job.state}`;
    tell(sub, amounts(job));
    tell(pace, paceOf(job));
    bar.classList.toggle('idle', job.state !== 'running');
    bar.classList.toggle('short', job.state === 'failed');
    bar.firstChild.style.width = `${(100 * share(job)).toFixed(2)}%`;
  }

  #choose(id) {
    this.#chosen = id;
    this.#show();
    this.#onChoose(id);
  }

  #press(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (!(event.key in steps)) {
      const job = this.#known.get(this.#chosen);
      if (job) this.#onKey(event.key, job);
      return;
    }
    event.preventDefault();
    const here = this.#order.indexOf(this.#chosen);
    const start = here < 0 ? Math.floor(this.#list.scrollTop / LINE) - 1 : this.#from + here;
    this.#wanted = Math.min(this.#total - 1, Math.max(0, start + steps[event.key]));
    this.#reveal(this.#wanted);
    this.#chooseWanted();
  }

  /** Chooses the line that the keyboard went to, as soon as it is known which job stands there. */
  #chooseWanted() {
    const id = this.#order[this.#wanted - this.#from];
    if (id === undefined) return;
    this.#wanted = NaN;
    this.#choose(id);
  }

  #reveal(place) {
    const top = place * LINE;
    if (top < this.#list.scrollTop) this.#list.scrollTop = top;
    else if (top + LINE > this.#list.scrollTop + this.#list.clientHeight) this.#list.scrollTop = top + LINE - this.#list.clientHeight;
  }
}

function blank(id) {
  return make('div', { class: 'row', role: 'option', id: `job-${id}`, 'data-job': id, 'aria-selected': 'false' },
    make('div', { class: 'title' }), make('div', { class: 'state' }),
    make('div', { class: 'sub' }), make('div', { class: 'pace' }), meter(0));
}

function amounts(job) {
  if (job.files.total === 0) return job.windows.total > 0 ? `${count(job.windows.listed)} of ${count(job.windows.total)} listings` : 'no files known yet';
  const failed = job.files.failed > 0 ? ` · ${count(job.files.failed)} failed` : '';
  return `${count(job.files.done)} of ${count(job.files.total)} files${failed} · ${bytes(job.bytes.done)}`;
}

function paceOf(job) {
  if (job.state !== 'running') return job.priority !== 0 ? `priority ${job.priority}` : '';
  return job.eta_s === null ? rate(job.rate_bytes_per_s) : `${rate(job.rate_bytes_per_s)} · ${duration(job.eta_s)} left`;
}
