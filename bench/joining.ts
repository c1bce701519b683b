import type { Candidate } from './candidate.ts';
import { ownCoalescer, ownLoops } from './own-copies.ts';
import { bytes, ratio, type Column, type Findings, type Question } from './question.ts';
import { bytesHeld, figures, ratios, takeTurns, turn, warmUp, type Contestant } from './rounds.ts';
import { gatedUpstream, keepOneFlying } from './upstream.ts';

/** Small flights are gathered until so many followers wait at a time, and a sample repeats that for so many milliseconds. */
const AT_A_TIME = 10_000;
const SAMPLE = 30;
/** A candidate that needs so many milliseconds for one gathering is measured once, cold. */
const SLOW = 1_500;
const FOLLOWERS = [10, 1_000, 100_000, 1_000_000];

export const question: Question = {
  title: 'Joining',
  method:
    'One caller starts a load that stays pending, then N followers ask for the same key; each waits with a `.then` of its own. The measure is a hand-written coalescer, whose follower costs one `Map.get` and one pending promise.',
  variants: FOLLOWERS.map(String),
  passes: 1,
  bound: 10_000,
  growing: true,
  unable: (candidate) => (candidate.can.coalesces ? undefined : 'coalesce'),
  measure,
  tables: [
    {
      caption: 'Time per follower from its call until it waits',
      columns: FOLLOWERS.map((followers) => column(followers, 'join', ratio, '≤ 1.30')),
    },
    {
      caption: 'Time per follower from the first call to the last answer, the flight included',
      columns: FOLLOWERS.map((followers) =>
        column(followers, 'total', ratio, followers < 100_000 ? '≤ 1.20' : '≤ 1.50'),
      ),
    },
    {
      caption: 'Bytes per follower while they wait, the flight included',
      columns: FOLLOWERS.map((followers) => column(followers, 'bytes', bytes, '≤ 1.30 × hand-written')),
    },
    {
      caption: 'Loads per flight',
      columns: FOLLOWERS.map((followers) => column(followers, 'calls', (calls) => String(calls))),
    },
  ],
  panels: [
    {
      title: 'Joining, 1,000,000 followers, first call to last answer (× hand-written coalescer)',
      variant: '1000000',
      figure: 'total',
      target: 1.5,
    },
  ],
};

function column(followers: number, figure: string, show: Column['show'], target?: string): Column {
  return {
    heading: followers.toLocaleString('en-US'),
    variant: String(followers),
    figure,
    show,
    ...(target !== undefined && { targets: { soloflight: target, 'soloflight-singleflight': target } }),
  };
}

async function measure(candidate: Candidate, variant: string, quick: boolean): Promise<Findings> {
  const followers = quick ? Math.min(Number(variant), AT_A_TIME) : Number(variant);
  const flights = Math.max(1, AT_A_TIME / followers);
  const coalescer = await ownCoalescer('reference');
  const reference = await crowd('reference', coalescer.candidate.open, flights, followers);
  const own = await crowd('candidate', candidate.open, flights, followers);

  const start = performance.now();
  const first = await own.sample();
  const slow = performance.now() - start > SLOW;
  if (!slow) await warmUp([reference, own], quick ? 0 : 150);
  const samples = slow
    ? new Map([
        ['reference', [await reference.sample()]],
        ['candidate', [first]],
      ])
    : await takeTurns([reference, own], {
        rounds: quick ? 2 : 15,
        budget: quick ? 0 : 700,
        sweep: followers < 100_000 ? 'minor' : 'full',
      });
  return {
    join: ratios(samples, 'candidate', 'reference', 'join'),
    total: ratios(samples, 'candidate', 'reference', 'total'),
    joinTime: figures(samples, 'candidate', 'join'),
    bytes: [await own.weigh()],
    calls: figures(samples, 'candidate', 'calls'),
  };
}

interface Crowd extends Contestant {
  /** Bytes held per follower while all wait. */
  readonly weigh: () => Promise<number>;
}

/** `flights` keys, each with a leader and then `followers` more callers. */
async function crowd(name: string, open: Candidate['open'], flights: number, followers: number): Promise<Crowd> {
  const { askForAll, joinAtOnce } = await ownLoops(name);
  const upstream = gatedUpstream();
  const opened = open(upstream.load, { ttl: 60_000, staleWhileRevalidate: 0, max: 10_000 });
  await keepOneFlying(upstream, opened);
  const { read } = opened;
  let gatherings = 0;

  const gather = (): Gathering => {
    upstream.shut();
    // New keys, since a cache remembers those of the last time.
    const keys = Array.from({ length: flights }, (_, i) => `post:${gatherings}:${i}`);
    gatherings++;
    const everybody = Promise.withResolvers<void>();
    let waiting = flights * (followers + 1);
    const arrived = (): void => {
      if (--waiting === 0) everybody.resolve();
    };
    const held: unknown[] = Array(flights * (followers + 1)).fill(undefined);
    return {
      async lead() {
        askForAll(read, keys, arrived, held);
        await turn();
      },
      async join() {
        for (let i = 0; i < flights; i++)
          joinAtOnce(read, keys[i] as string, followers, arrived, held, flights + i * followers);
        await turn();
      },
      async land() {
        upstream.open();
        await everybody.promise;
        return upstream.calls() / flights;
      },
      held,
    };
  };

  return {
    name,
    async sample() {
      let joining = 0;
      let flying = 0;
      let calls = 0;
      let times = 0;
      do {
        const { lead, join, land } = gather();
        const started = performance.now();
        await lead();
        const led = performance.now();
        await join();
        const joined = performance.now();
        calls += await land();
        joining += joined - led;
        flying += performance.now() - started;
        times++;
      } while (flying < SAMPLE);
      const each = 1e6 / (flights * followers * times);
      return { join: joining * each, total: flying * each, calls: calls / times };
    },
    async weigh() {
      const { lead, join, land, held } = gather();
      const before = await bytesHeld();
      await lead();
      await join();
      const weight = (await bytesHeld()) - before;
      if (held.includes(undefined)) throw new Error('A caller is missing');
      await land();
      return weight / (flights * followers);
    },
  };
}

interface Gathering {
  readonly lead: () => Promise<void>;
  readonly join: () => Promise<void>;
  /** Lets the upstream answer, and gives the number of loads per flight when all callers have their answer. */
  readonly land: () => Promise<number>;
  /** What the callers wait on. */
  readonly held: readonly unknown[];
}
