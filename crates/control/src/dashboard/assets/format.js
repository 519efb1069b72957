// Numbers and times as people read them. Units of bytes are powers of 1000, as on the command line.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function bytes(count) {
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export const rate = (bytesPerSecond) => `${bytes(bytesPerSecond)}/s`;

export const count = (number) => number.toLocaleString('en').replaceAll(',', '\u202f');

export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

/** A length of time with at most two units. */
export function duration(seconds) {
  const parts = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  const first = parts.findIndex(([, length]) => seconds >= length);
  if (first < 0) return '0 s';
  const [[unit, length], next] = [parts[first], parts[first + 1]];
  const whole = Math.floor(seconds / length);
  const rest = next ? Math.floor((seconds % length) / next[1]) : 0;
  return rest > 0 && whole < 10 ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

export function moment(text) {
  return text === null ? '–' : new Date(text).toLocaleString('en-CA', { dateStyle: 'medium', timeStyle: 'short', hour12: false });
}

export const ago = (text) => `${duration(Math.max(0, (Date.now() - Date.parse(text)) / 1000))} ago`;

/** A kind of error, in words. */
export const kind = (name) => name.replaceAll('_', ' ');

export const title = (job) => job.name ?? job.what;

/** How much of a job is done, between 0 and 1; by bytes where their sum is known and can be reached. */
export function share(job) {
  if (job.bytes.total && job.files.failed === 0) return job.bytes.done / job.bytes.total;
  return job.files.total > 0 ? job.files.done / job.files.total : 0;
}
