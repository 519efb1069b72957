// One job in full: where it is, what can be done with it, what is in flight, what went wrong and what comes of that.

import { byId, make, meter } from './dom.js';
import { ago, bytes, count, counted, duration, kind, moment, rate, share, title } from './format.js';
import { ask } from './server.js';

const PAGE = 50;

export class Detail {
  #place = byId('detail');
  #seen = { job: undefined, in_flight: null, troubles: [] };
  #parts = null;
  #act;

  constructor(act) {
    this.#act = act;
  }

  /** Takes what is new of the job that is looked at. */
  take(news) {
    const before = this.#seen.job?.id;
    for (const key of ['job', 'in_flight', 'troubles']) if (news[key] !== undefined) this.#seen[key] = news[key];
    const { job } = this.#seen;
    if (!job) return this.#empty();
    if (this.#parts === null || before !== job.id) this.#lay(job);
    if (news.job !== undefined) this.#showJob(job);
    if (news.in_flight !== undefined || news.job !== undefined) this.#showFlight(this.#seen.in_flight);
    if (news.troubles !== undefined || news.job !== undefined) this.#showTroubles(this.#seen.troubles, job);
  }

  #empty() {
    this.#parts = null;
    this.#place.replaceChildren(make('h2', { id: 'detail-title', text: 'No job chosen' }),
      make('p', { class: 'quiet', text: 'Choose a job in the list to see how far it is, and to steer it.' }));
  }

  #lay(job) {
    const part = (attributes = {}) => make('div', attributes);
    this.#parts = {
      head: part({ class: 'title' }), what: make('p', { class: 'what' }), notice: part(), actions: part({ class: 'actions' }),
      gauges: part(), facts: make('dl', { class: 'facts' }), flight: part({ class: 'flight' }), troubles: part(), lost: this.#lost(job),
    };
    this.#parts.actions.dataset.job = job.id;
    this.#place.replaceChildren(...Object.values(this.#parts));
  }

  #showJob(job) {
    const { head, what, notice, gauges, facts, lost } = this.#parts;
    head.replaceChildren(make('h2', { id: 'detail-title', text: title(job) }), make('span', { class: `state ${job.state}`, text: job.state }));
    what.textContent = `job ${job.id}${job.name === null ? '' : ` · ${job.what}`}`;
    notice.replaceChildren(...(job.error === null ? [] : [make('p', { class: 'notice' }, make('b', { text: `${kind(job.error.kind)}: ` }), job.error.message)]));
    this.#showActions(job);
    const pace = job.state === 'running' ? `${rate(job.rate_bytes_per_s)}${job.eta_s === null ? '' : ` · ${duration(job.eta_s)} left`}` : '';
    const total = job.bytes.total === null ? '' : ` of ${bytes(job.bytes.total)}`;
    lost.hidden = job.files.failed === 0;
    gauges.replaceChildren(
      gauge('Files', `${count(job.files.done)} of ${count(job.files.total)}${job.files.failed > 0 ? `, ${count(job.files.failed)} failed` : ''}`, pace, share(job), job.state),
      job.windows.listed + job.windows.failed < job.windows.total || job.state === 'planning'
        ? gauge('Listings', `${count(job.windows.listed)} of ${count(job.windows.total)}${job.windows.failed > 0 ? `, ${count(job.windows.failed)} failed` : ''}`, '', job.windows.total > 0 ? job.windows.listed / job.windows.total : 0)
        : '');
    const rows = [
      ['Data', `${bytes(job.bytes.done)}${total}`], ['Received', bytes(job.bytes.received)],
      job.bytes.adopted > 0 ? ['Taken over', bytes(job.bytes.adopted)] : null,
      ['Waiting', counted(job.files.pending, 'file')], ['Folder', job.out], ['Priority', String(job.priority)],
      ['Submitted', moment(job.created_at)], job.finished_at === null ? null : ['Ended', moment(job.finished_at)],
    ];
    facts.replaceChildren(...rows.filter(Boolean).flatMap(([name, value]) => [make('dt', { text: name }), make('dd', { text: value })]));
  }

  /** The buttons stay the same elements while they mean the same, so that the focus stays on them. */
  #showActions(job) {
    const isOver = ['completed', 'failed', 'cancelled'].includes(job.state);
    const failed = job.files.failed + job.windows.failed > 0 || job.state === 'failed';
    const wanted = [
      job.state === 'paused' || job.state === 'cancelled' ? ['resume', 'Resume', 'primary'] : isOver ? null : ['pause', 'Pause', 'primary'],
      failed ? ['retry', 'Try failures again', ''] : null,
      ['change', 'Change …', ''],
      isOver ? null : ['cancel', 'Cancel …', 'danger'],
      isOver ? ['remove', 'Remove …', 'danger'] : null,
    ].filter(Boolean);
    const { actions } = this.#parts;
    const shown = [...actions.children].map((button) => button.dataset.act).join();
    if (shown === wanted.map(([act]) => act).join()) return;
    const hadFocus = actions.contains(document.activeElement);
    actions.replaceChildren(...wanted.map(([act, text, look]) => make('button', { type: 'button', class: look, 'data-act': act, text, on: { click: () => this.#act(act, this.#seen.job) } })));
    if (hadFocus) actions.firstChild?.focus();
  }

  #showFlight(flight) {
    if (!flight || flight.files.length === 0) return this.#parts.flight.replaceChildren();
    const files = flight.files.map((file) => make('li', {},
      make('div', { class: 'words' },
        make('span', { class: 'path', title: file.path }, make('bdi', { text: file.path })),
        make('span', { class: 'amount', text: file.total === null ? 'waiting' : `${bytes(file.received)} of ${bytes(file.total)}` })),
      meter(file.total ? file.received / file.total : 0)));
    const more = flight.total - flight.files.length;
    if (more > 0) files.push(make('li', { class: 'quiet', text: `and ${count(more)} more` }));
    this.#parts.flight.replaceChildren(make('h3', { text: `In flight: ${counted(flight.total, 'file')}` }), make('ul', {}, ...files));
  }

  #showTroubles(troubles, job) {
    if (troubles.length === 0) return this.#parts.troubles.replaceChildren();
    const told = troubles.map((trouble) => make('div', { class: 'trouble' },
      make('div', { class: 'words' },
        make('span', { text: `${kind(trouble.kind)} · ${trouble.host}` }),
        make('span', { text: `${count(trouble.count)} ×, last ${ago(trouble.last_at)}` })),
      make('p', { class: 'quiet', text: `${trouble.example.path}: ${trouble.example.message}` }),
      make('p', { class: 'then', text: `${sentence(trouble.advice)}.` })));
    this.#parts.troubles.replaceChildren(make('h3', { text: 'What went wrong' }), make('p', { class: 'prospect quiet', text: prospect(job) }), ...told);
  }

  /** The files that were given up, read page by page when somebody opens the list. */
  #lost(job) {
    const list = make('ul', { class: 'given-up', tabindex: '0', 'aria-label': 'Files that failed for good' });
    const more = make('button', { type: 'button', text: 'Show more', hidden: true });
    const read = async (after) => {
      const from = after === null ? '' : `&after=${after}`;
      const page = await ask('GET', `/v1/jobs/${job.id}/files?state=failed&limit=${PAGE}${from}`).catch((error) => ({ files: [], next: null, error }));
      list.append(...page.files.map((file) => make('li', {}, make('b', { text: `${kind(file.error?.kind ?? 'failed')} ` }), `${file.spec.path.Ok ?? file.spec.url} – ${file.error?.message ?? ''}`)));
      if (list.children.length === 0) list.append(make('li', { class: 'quiet', text: page.error?.message ?? 'None.' }));
      more.hidden = page.next === null;
      more.onclick = () => read(page.next);
    };
    const opened = (event) => { if (event.target.open) { list.replaceChildren(); read(null); } };
    return make('details', { on: { toggle: opened } }, make('summary', { text: 'Files that failed for good' }), list, more);
  }
}

function gauge(name, words, aside, part, state = null) {
  const bar = meter(part, name);
  bar.classList.toggle('short', state === 'failed');
  return make('div', { class: 'gauge' }, make('div', { class: 'words' }, make('span', {}, make('b', { text: `${name} ` }), words), make('span', { class: 'quiet', text: aside })), bar);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What becomes of the failures, by what is left to do. */
function prospect(job) {
  const given = job.files.failed + job.windows.failed;
  const left = job.files.pending + job.files.active > 0;
  if (job.state === 'paused') return 'The job is paused: nothing is tried until it goes on.';
  if (left && given === 0) return 'Nothing is lost: what failed is tried again by itself, with growing waits.';
  if (left) return `${counted(given, 'file or listing')} given up so far; the others are tried again by themselves.`;
  if (given > 0 || job.state === 'failed') return `${counted(given, 'file or listing')} given up: nothing more happens until “Try failures again”.`;
  return 'All of it was got over.';
}
