import { expect } from 'vitest';

import { eventually } from '../support/patience.js';

/** The other end of a connection. */
export interface SocketClient {
  readonly socket: WebSocket;
  readonly heard: unknown[];
  readonly closed: number[];
  /** Sends `message`, text as it is. */
  readonly say: (message: unknown) => void;
  /** Resolves when so many messages were heard. */
  readonly hears: (count: number) => Promise<unknown[]>;
}

/** A WebSocket to `stub` for somebody who is called `authorization`. */
export async function connectSocket(
  stub: DurableObjectStub,
  authorization: string,
  query: string,
): Promise<SocketClient> {
  const { webSocket: socket } = await stub.fetch(`http://object/${query}`, {
    headers: { upgrade: 'websocket', authorization },
  });
  if (socket === null) throw new Error('Not connected');
  const heard: unknown[] = [];
  const closed: number[] = [];
  socket.addEventListener(
    'message',
    ({ data }) => void heard.push(data === 'pong' ? data : JSON.parse(data as string)),
  );
  socket.addEventListener('close', ({ code }) => void closed.push(code));
  socket.accept();
  return {
    ...{ socket, heard, closed },
    say: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    hears: async (count) => {
      await eventually(() => expect(heard.length).toBeGreaterThanOrEqual(count));
      return heard;
    },
  };
}
