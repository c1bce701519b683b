import type { Profile } from '../profile.js';
import { connection } from './profiles.js';

/** A message of the object, as far as it is used here: `ChangeMessage` of soloflight/cloudflare. */
interface Message {
  readonly type: string;
  readonly kind?: 'put' | 'delete';
  readonly value?: Profile;
}

/** What a tab is told by the object whose profile it shows. */
export interface Heard {
  /** Changes may have been missed until now. */
  readonly connected: () => void;
  readonly changed: (profile: Profile) => void;
  /** What was told last is not what will be. */
  readonly outdated: () => void;
}

/** Milliseconds between attempts to connect, at first and at most. */
const PAUSE = { first: 500, longest: 15_000 };

/** Listens to the changes of profile `id` until the returned function is called, through as many connections as it takes. */
export function listen(id: string, heard: Heard): () => void {
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = PAUSE.first;

  function connect(): void {
    clearTimeout(timer);
    if (socket !== undefined || connection.state !== 'online') return;
    const url = new URL(`/api/profiles/${id}`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const own = (socket = new WebSocket(url));
    let since = Infinity;
    own.addEventListener('open', () => {
      since = performance.now();
      heard.connected();
    });
    own.addEventListener('message', ({ data }) => {
      if (socket === own) take(data as string);
    });
    own.addEventListener('close', () => {
      if (socket !== own) return;
      socket = undefined;
      // One that is ended at once is no better than none.
      if (performance.now() - since > PAUSE.longest) pause = PAUSE.first;
      // By chance, so that not all come back at the same instant.
      timer = setTimeout(connect, pause * (0.5 + Math.random() / 2));
      pause = Math.min(PAUSE.longest, pause * 2);
      void connection.check();
    });
  }

  function take(data: string): void {
    const { type, kind, value } = JSON.parse(data) as Message;
    if (type === 'change' && kind === 'put' && value !== undefined) heard.changed(value);
    else heard.outdated();
  }

  const off = connection.on(() => {
    if (connection.state === 'online') connect();
    // A connection that has lost its network does not say so for minutes.
    else socket?.close();
  });
  connect();
  return () => {
    off();
    clearTimeout(timer);
    const own = socket;
    socket = undefined;
    own?.close();
  };
}
