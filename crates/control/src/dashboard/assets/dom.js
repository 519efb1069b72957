// Elements, made from text alone: nothing that came from elsewhere is ever read as markup.

const SVG = 'http://www.w3.org/2000/svg';

/** The element with an id, which the page has. */
export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; `text`, `on` and `data` attributes are special. */
export function make(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function draw(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'text') element.textContent = value;
    else if (key === 'on') Object.entries(value).forEach(([event, act]) => element.addEventListener(event, act));
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Sets a text unless it is that already: screen readers speak what is set again. */
export function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A bar that shows a part of a whole, between 0 and 1. */
export function meter(part, label = null) {
  const fill = make('div');
  fill.style.width = `${(100 * Math.min(1, Math.max(0, part))).toFixed(2)}%`;
  const bar = make('div', { class: 'meter' }, fill);
  if (label !== null) {
    dress(bar, { role: 'progressbar', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.floor(100 * part) }, []);
  }
  return bar;
}

/** Says something once, for eyes and screen readers. */
export function say(text) {
  const place = byId('say');
  place.textContent = text;
  clearTimeout(say.over);
  say.over = setTimeout(() => { place.textContent = ''; }, 6000);
}
