import { connection, edits } from './profiles.js';

/** Profiles edited in this tab, with what its user is told of the last edit of each. */
const told = new Map<string, string>();

/** What is told of the edit of `key` that was just accepted. */
export function savingOf(key: string): string {
  return told.get(key) ?? '';
}

/** Notes an edit that this tab begins to save. */
export function beginSaving(key: string): void {
  told.set(key, '');
}

/** Calls `tell` with what becomes of the edits of this tab. Only what the server has taken is called saved. */
export function watchSaving(tell: (key: string, text: string) => void): void {
  const note = (key: string, text: string): void => {
    if (!told.has(key) || told.get(key) === text) return;
    told.set(key, text);
    tell(key, text);
  };
  edits.on('accept', ({ key }) =>
    note(
      key,
      connection.state === 'online'
        ? 'Kept in this browser, and on its way.'
        : 'Kept in this browser, to be sent later.',
    ),
  );
  edits.on('retry', ({ key }) => note(key, 'Kept in this browser, to be sent later.'));
  edits.on('batch-error', () => {
    for (const [key, text] of told) if (text.startsWith('Kept')) note(key, 'Kept in this browser, to be sent later.');
  });
  edits.on('dead-letter', ({ key }) => note(key, 'Not saved: the server refused it. See below.'));
  edits.on('conflict', ({ key, resolution }) => {
    if (resolution === 'remote') note(key, 'Not saved: somebody else’s edit was kept.');
  });
  edits.on('deliver', ({ key }) => {
    // A later edit may wait still.
    void edits.peek(key).then(
      (pending) => pending === undefined && note(key, 'Saved.'),
      () => {},
    );
  });
}
