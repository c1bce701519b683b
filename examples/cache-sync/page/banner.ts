import type { ConnectivityState } from 'soloflight/browser';

/** Says how things stand when not all is well; nothing when it is. */
export class Banner {
  /** Whether there was no connection since all edits were delivered. */
  #wasAway = false;

  textFor(connection: ConnectivityState, pending: number): string {
    if (connection === 'online') {
      if (pending === 0) this.#wasAway = false;
      return this.#wasAway ? `Back online. Sending ${edits(pending)}.` : '';
    }
    this.#wasAway = true;
    const reason = connection === 'offline' ? 'You are offline.' : 'The server can not be reached.';
    const waiting = pending === 0 ? '' : ` ${edits(pending)} ${pending === 1 ? 'is' : 'are'} waiting.`;
    return `${reason} You can go on: edits are kept in this browser and sent later.${waiting}`;
  }
}

function edits(count: number): string {
  return count === 1 ? '1 edit' : `${count} edits`;
}
