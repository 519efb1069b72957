// Forms in the one dialog of the page: each is asked for what it needs, and says why something cannot be.

import { byId, make } from './dom.js';
import { title } from './format.js';

/** Opens the dialog; `send` gets what was filled in, and its failure is shown. */
function open({ heading, fields, confirm, danger = false, send }) {
  const dialog = byId('dialog');
  const form = byId('form');
  const [complaint, button] = [byId('complaint'), byId('confirm')];
  byId('dialog-title').textContent = heading;
  byId('fields').replaceChildren(...fields);
  complaint.textContent = '';
  Object.assign(button, { textContent: confirm, disabled: false, className: danger ? 'danger' : 'primary' });
  byId('dismiss').onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    complaint.textContent = '';
    try {
      await send(Object.fromEntries(new FormData(form)));
      dialog.close();
    } catch (error) {
      complaint.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  };
  dialog.showModal();
}

function field(label, name, { hint = null, ...attributes } = {}) {
  return make('label', { class: 'field' }, make('span', { text: label }),
    make('input', { name, autocomplete: 'off', spellcheck: 'false', ...attributes }), hint === null ? null : make('small', { text: hint }));
}

const pair = (...fields) => make('div', { class: 'pair' }, ...fields);
const list = (text) => text.split(/[\s,]+/).filter(Boolean);
const paragraph = (text) => make('p', { text });

/** A new job, in the words of the command line. */
export function orderDialog(defaults, send) {
  open({
    heading: 'New job',
    confirm: 'Submit',
    fields: [
      field('Datasets', 'datasets', { required: true, value: defaults.datasets, placeholder: 'THEMIS_ASI_RAW', hint: 'Names as “skyhaul datasets” lists them; several with commas.' }),
      pair(field('From', 'start', { required: true, placeholder: '2022-01-01' }), field('To', 'end', { required: true, placeholder: '2022-01-31' })),
      field('Sites', 'sites', { placeholder: 'every site', hint: 'As gill, fsmi; times are UTC, a day, month or year stands for the whole of it.' }),
      field('Folder', 'out', { required: true, value: defaults.out, placeholder: '/data/allsky' }),
      pair(field('Name', 'name', { placeholder: 'optional' }), field('Priority', 'priority', { type: 'number', min: -100, max: 100, value: '0' })),
    ],
    send: ({ datasets, sites, name, priority, ...rest }) =>
      send({ ...rest, datasets: list(datasets), sites: list(sites), name: name.trim() || null, priority: Number(priority) || 0 }),
  });
}

/** A job's name and priority. */
export function changeDialog(job, send) {
  open({
    heading: `Change ${title(job)}`,
    confirm: 'Change',
    fields: [
      field('Name', 'name', { value: job.name ?? '' }),
      field('Priority', 'priority', { type: 'number', min: -100, max: 100, value: String(job.priority), hint: '-100 to 100; higher goes first.' }),
    ],
    send: ({ name, priority }) => send({ ...(name.trim() && name.trim() !== job.name ? { name: name.trim() } : {}), priority: Number(priority) || 0 }),
  });
}

/** The engine's limits; they hold until it ends. */
export function limitsDialog(limits, send) {
  open({
    heading: 'Limits of the engine',
    confirm: 'Set',
    fields: [
      paragraph('They hold at once, for all jobs, until the engine ends; flags and the config file hold for its next start.'),
      field('Rate', 'limit_rate', { value: limits.limit_rate, hint: 'Bytes a second as 2M, off, or a timetable: 08:00,2M 18:00,off' }),
      pair(field('Connections to a host', 'connections', { type: 'number', min: 1, value: String(limits.connections) }),
        field('Requests in flight', 'in_flight', { type: 'number', min: 1, value: String(limits.in_flight) })),
      field('Requests a second to a host', 'requests_per_second', { inputmode: 'decimal', value: limits.requests_per_second ?? '', placeholder: 'no limit' }),
    ],
    send: (given) => send({
      limit_rate: given.limit_rate.trim() || 'off',
      connections: Number(given.connections),
      in_flight: Number(given.in_flight),
      requests_per_second: given.requests_per_second.trim() === '' ? null : Number(given.requests_per_second),
    }),
  });
}

/** Something that cannot be undone. */
export function sureDialog(heading, text, confirm, send) {
  open({ heading, confirm, danger: true, fields: [paragraph(text)], send });
}
