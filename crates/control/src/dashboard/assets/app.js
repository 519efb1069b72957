// The page: what is looked at, and who shows it.

import { Board } from './board.js';
import { Chart } from './chart.js';
import { Detail } from './detail.js';
import { changeDialog, limitsDialog, orderDialog, sureDialog } from './dialogs.js';
import { byId, say, tell } from './dom.js';
import { count, duration, rate, title } from './format.js';
import { Jobs } from './jobs.js';
import { ask } from './server.js';

const lens = { show: 'all', find: '', from: 0, count: 80, job: jobOfAddress() };
const board = new Board(take, showLink);
const chart = new Chart();
const detail = new Detail(act);
const jobs = new Jobs({ onChoose: choose, onRange: (range) => look(range), onKey: press });
let span = 'hour';
let seriesDue = 0;

function look(change) {
  Object.assign(lens, change);
  clearTimeout(look.soon);
  // Scrolling passes many lines; only where it comes to rest is asked for.
  look.soon = setTimeout(() => board.look({ ...lens }), 60);
}

function take(news) {
  if (news.summary) showSummary(news.summary);
  jobs.take(news, lens.from);
  showEmpty(news.total);
  detail.take(lens.job === null ? { ...news, job: null } : news);
}

function showSummary(summary) {
  const of = (...states) => states.reduce((sum, state) => sum + summary.jobs[state], 0);
  const unfinished = of('running', 'planning', 'queued', 'paused');
  const finished = of('completed', 'failed', 'cancelled');
  tell(byId('rate'), rate(summary.rate_bytes_per_s));
  tell(byId('files-rate'), summary.files_per_s.toFixed(1));
  tell(byId('flying'), count(summary.in_flight));
  const counts = { all: unfinished + finished, unfinished, finished };
  for (const [show, number] of Object.entries(counts)) tell(document.querySelector(`[data-show="${show}"] b`), count(number));
  document.title = summary.in_flight > 0 ? `${rate(summary.rate_bytes_per_s)} – skyhaul` : 'skyhaul';
}

function showEmpty(total) {
  if (total === undefined) return;
  const isFiltered = lens.show !== 'all' || lens.find !== '';
  byId('no-jobs').hidden = total > 0;
  tell(byId('no-jobs'), isFiltered ? 'No job is like that.' : 'No jobs yet. “New job” makes one, and so does ‘skyhaul submit’.');
}

function showLink(state) {
  const words = { live: 'live', waiting: 'The engine does not answer. ‘skyhaul dashboard’ starts one and opens its page.', lost: 'This session is over. ‘skyhaul dashboard’ opens a new one.' };
  const place = byId('link');
  tell(place, words[state]);
  place.className = `link ${state === 'live' ? 'live' : 'lost'}`;
  document.body.classList.toggle('gone', state !== 'live');
  if (state === 'live') refreshSeries();
}

async function refreshSeries() {
  if (Date.now() < seriesDue) return;
  seriesDue = Date.now() + Chart.refresh(span);
  try {
    chart.take(await ask('GET', `/v1/series?span=${span}`));
  } catch {
    seriesDue = 0;
  }
}

async function showEngine() {
  const engine = await ask('GET', '/v1/engine');
  const age = duration((Date.now() - Date.parse(engine.started_at)) / 1000);
  tell(byId('engine'), `version ${engine.version} · process ${engine.pid} · up for ${age}`);
}

function choose(job) {
  history.replaceState(null, '', `#job=${job}`);
  look({ job });
}

function jobOfAddress() {
  const found = /^#job=(\d+)$/.exec(location.hash);
  return found === null ? null : Number(found[1]);
}

/** What can be done with a job: each says what has come of it. */
const deeds = {
  pause: (job) => doIt(`Paused ${title(job)}.`, 'PUT', `/v1/jobs/${job.id}/intent`, { intent: 'paused' }),
  resume: (job) => doIt(`${title(job)} goes on.`, 'PUT', `/v1/jobs/${job.id}/intent`, { intent: 'run' }),
  retry: async (job) => {
    const put = await ask('POST', `/v1/jobs/${job.id}/retry`);
    say(`${count(put.files)} files and ${count(put.windows)} listings are tried again.`);
  },
  change: (job) => changeDialog(job, (change) => doIt('Changed.', 'PATCH', `/v1/jobs/${job.id}`, change)),
  cancel: (job) => sureDialog(`Cancel ${title(job)}?`, 'Partial files are dropped; finished files are kept.', 'Cancel the job', () => doIt('Cancelled.', 'PUT', `/v1/jobs/${job.id}/intent`, { intent: 'cancelled' })),
  remove: (job) => sureDialog(`Remove ${title(job)}?`, 'The queue forgets the job; finished files are kept.', 'Remove the job', () => doIt('Removed.', 'DELETE', `/v1/jobs/${job.id}`)),
};

async function doIt(done, method, path, body) {
  const answer = await ask(method, path, body);
  say(answer?.note ?? done);
}

async function act(deed, job) {
  try {
    await deeds[deed](job);
  } catch (error) {
    say(error.message);
  }
}

function press(key, job) {
  const step = { '+': 1, '-': -1 }[key];
  if (key === 'p') act(['paused', 'cancelled'].includes(job.state) ? 'resume' : 'pause', job);
  else if (step) {
    const priority = Math.max(-100, Math.min(100, job.priority + step));
    doIt(`Priority ${priority}.`, 'PATCH', `/v1/jobs/${job.id}`, { priority }).catch((error) => say(error.message));
  }
}

function tabs(attribute, onChoice) {
  const buttons = [...document.querySelectorAll(`[data-${attribute}]`)];
  for (const button of buttons) {
    button.addEventListener('click', () => {
      buttons.forEach((other) => other.setAttribute('aria-pressed', String(other === button)));
      onChoice(button.dataset[attribute]);
    });
  }
}

tabs('span', (chosen) => { span = chosen; seriesDue = 0; refreshSeries(); });
tabs('show', (show) => { jobs.toTop(); look({ show, ...jobs.range() }); });
byId('find').addEventListener('input', (event) => { jobs.toTop(); look({ find: event.target.value.trim(), ...jobs.range() }); });
byId('open-order').addEventListener('click', () => {
  const like = lens.job === null ? undefined : jobs.job(lens.job);
  orderDialog({ datasets: '', out: like?.out ?? '' }, async (wish) => {
    const { id, created } = await ask('POST', '/v1/orders', wish);
    say(created ? `Job ${id} is queued.` : `Job ${id} was there already.`);
    jobs.select(id);
    choose(id);
  });
});
byId('open-limits').addEventListener('click', async () => {
  try {
    limitsDialog(await ask('GET', '/v1/limits'), (limits) => doIt('The limits are set.', 'PUT', '/v1/limits', limits));
  } catch (error) {
    say(error.message);
  }
});
addEventListener('hashchange', () => { jobs.select(jobOfAddress()); look({ job: jobOfAddress() }); });
setInterval(() => { if (!document.hidden) refreshSeries(); }, 5000);
setInterval(() => { if (!document.hidden) showEngine().catch(() => {}); }, 60_000);

jobs.select(lens.job);
detail.take({ job: null });
showEngine().catch(() => {});
look(jobs.range());
