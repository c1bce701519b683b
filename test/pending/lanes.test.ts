import { expect, test } from 'vitest';

import type { Claim } from '../../src/flights/claim.js';
import type { Claims } from '../../src/flights/claims.js';
import { WriteLanes } from '../../src/pending/lanes.js';
import { RequestClaims } from '../../src/requests/claim.js';
import { requests } from '../support/requests.js';

test('the claims of requests that ended while they wrote are let go of', () => {
  const { clock, time, begin } = requests();
  const held = new Set<Claim>();
  const all = new RequestClaims(clock, Infinity);
  const claims: Claims = {
    grant(since, giveUp) {
      const claim = all.grant(since, giveUp);
      held.add(claim);
      return claim;
    },
    delete(claim) {
      held.delete(claim);
      all.delete(claim);
    },
    sweep: (inPassing) => all.sweep(inPassing),
    flights: (options) => all.flights(options),
  };
  const lanes = new WriteLanes(claims, clock);

  for (let index = 0; index < 1_000; index += 1) {
    const request = begin();
    request.run(() => void lanes.run(`key ${index}`, () => new Promise(() => {})));
    request.end();
    time.advance(100);
  }

  expect(held.size).toBeLessThan(50);
});
