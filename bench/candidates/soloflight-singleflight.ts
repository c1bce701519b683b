import { Singleflight } from 'soloflight';

import type { Candidate } from '../candidate.ts';

export const candidate: Candidate = {
  name: 'soloflight `Singleflight`',
  kind: 'ours',
  can: { coalesces: true },
  code: "export { Singleflight } from 'soloflight'",
  open(load) {
    const flights = new Singleflight();
    const work = (flight: { readonly key: string }): ReturnType<typeof load> => load(flight.key);
    return { read: (key) => flights.execute(key, work) };
  },
};
