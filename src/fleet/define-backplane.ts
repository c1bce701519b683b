import { checkMethods } from '../base/checks.js';
import { CONNECT, type Backplane, type BackplaneAdapter } from '../contracts.js';
import type { PeersConnector } from '../ports.js';
import { Coherence } from './coherence.js';

/**
 * Makes a backplane of an adapter: messages are gathered, numbered, sent again until they are taken, and missed ones noticed.
 *
 * Every factory calls it; authors of adapters do so too, so that who uses no backplane need not bundle any of this.
 *
 * @throws TypeError for an adapter without `publish` or `subscribe`.
 */
export function defineBackplane(adapter: BackplaneAdapter): Backplane {
  checkMethods('adapter', 'a backplane adapter', adapter, ['publish', 'subscribe']);
  const backplane: Record<PropertyKey, unknown> = { name: adapter.name };
  for (const method of ['publish', 'subscribe', 'close'] as const) {
    const own: unknown = adapter[method];
    if (typeof own === 'function') backplane[method] = own.bind(adapter);
  }
  const connect: PeersConnector['connect'] = (plugged, context) => new Coherence(plugged, context);
  backplane[CONNECT] = { connect } satisfies PeersConnector;
  return backplane as never;
}
