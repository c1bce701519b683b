import { element } from './elements.js';

const LONGEST = 20;

/** Adds `text` to what happened; screen readers read it out. */
export function log(text: string): void {
  const place = element('log', HTMLDivElement);
  const [list] = place.getElementsByTagName('ol');
  if (list === undefined) throw new Error('The log has no list');
  const item = document.createElement('li');
  const time = document.createElement('time');
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString();
  item.append(time, ` ${text}`);
  list.append(item);
  while (list.children.length > LONGEST) list.firstElementChild?.remove();
  place.scrollTop = place.scrollHeight;
}
