import { element } from './elements.js';
import { edits } from './profiles.js';

/** Lists the edits that the server refused, to be tried again or discarded. */
export async function showRefused(): Promise<void> {
  const letters = await edits.deadLetters.list();
  const items = letters.map(({ id, key, reason }) => {
    const item = document.createElement('li');
    const what = `Edit of ${key}: ${reason}`;
    item.append(
      `${what} `,
      button('Try again', what, () => edits.deadLetters.requeue(id)),
      ' ',
      button('Discard', what, () => edits.deadLetters.drop(id)),
    );
    return item;
  });
  const place = element('refused', HTMLDivElement);
  place.querySelector('ul')?.replaceChildren(...items);
  place.hidden = items.length === 0;
}

/** The button that was used is gone: whoever goes by keyboard must not begin at the top again. */
function keepFocus(): void {
  if (document.activeElement !== document.body) return;
  const [next] = element('refused', HTMLDivElement).getElementsByTagName('button');
  (next ?? element('name', HTMLInputElement)).focus();
}

function button(label: string, what: string, act: () => Promise<void>): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  // Out of its list, a button must say by itself what it is about.
  made.ariaLabel = `${label}: ${what}`;
  made.addEventListener('click', () => {
    made.disabled = true;
    act()
      .catch(() => {}) // another tab was faster
      .finally(() => void showRefused().then(keepFocus, () => {}));
  });
  return made;
}
