import type { BackplaneMessage } from '../contracts.js';
import { heldQuietly, hold } from '../read/held.js';
import { drop, fence } from '../change/invalidate.js';
import type { Stages } from '../read/stages.js';

/**
 * Does to memory and flights what another process did to a key, a tag or all: nothing that it has made old is served
 * from here any more. Storage is its business, and it told all others itself.
 */
export function applyRemote<V>(stages: Stages<V>, message: BackplaneMessage): void {
  const { marks, space, flights, probes, failures } = stages;
  stages.rush.flight = undefined;
  switch (message.kind) {
    case 'set':
    case 'invalidate':
      for (const key of message.keys ?? []) drop(stages, key);
      return;
    case 'expire':
      for (const key of message.keys ?? []) expireHere(stages, key, message.at);
      return;
    case 'tags':
      marks.mark(space, message.tags ?? [], message.mode ?? 'invalidate', message.at);
      return;
    case 'clear':
      marks.clear(space, message.at);
      flights.fenceAll();
      probes.fenceAll();
      failures.clear();
      stages.clearMemory();
  }
}

/** Lets go of everything under way, since messages about it may have been lost. */
export function doubtFlights<V>({ rush, flights, probes }: Stages<V>): void {
  rush.flight = undefined;
  flights.fenceAll();
  probes.fenceAll();
}

function expireHere<V>(stages: Stages<V>, key: string, at: number): void {
  const { clock, turn } = stages;
  fence(stages, key);
  const held = heldQuietly(stages, key);
  // Whoever sent it may be ahead of this clock, and hits go by one that is a little behind it.
  const from = Math.min(at, clock.now(), turn.now());
  if (held !== undefined && held.freshUntil > from) hold(stages, key, held.expired(from));
}
