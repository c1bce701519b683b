import { checkNames, checkObject } from '../base/checks.js';
import type { Backplane, BackplaneAdapter, BackplaneListener, BackplaneMessage } from '../contracts.js';
import { misuse } from '../errors.js';
import { defineBackplane } from '../fleet/define-backplane.js';
import { messagesIn } from './message.js';

/** Options of {@link broadcastChannelBackplane}. */
export interface BroadcastChannelBackplaneOptions {
  /** Name of the channel. Caches on the same channel tell each other. @default 'soloflight' */
  readonly channel?: string;
}

/**
 * A backplane between the tabs of one origin, or the threads of one process, over `BroadcastChannel`.
 *
 * The channel opens at the first publication or subscription, and closes when nobody listens any more. An open channel
 * loses nothing, so this backplane never reports a loss.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function broadcastChannelBackplane(options: BroadcastChannelBackplaneOptions = {}): Backplane {
  checkObject('options', options);
  checkNames(options, ['channel']);
  const { channel = 'soloflight' } = options;
  if (typeof channel !== 'string' || channel === '') throw misuse('channel', 'a non-empty string', channel);
  return defineBackplane(new BroadcastChannelBackplane(channel));
}

/** The part of a `BroadcastChannel` that is used here. Platforms type it differently. */
interface Channel {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  postMessage(data: unknown): void;
  close(): void;
  unref?(): void;
}

class BroadcastChannelBackplane implements BackplaneAdapter {
  readonly name = 'broadcast-channel';
  readonly #name: string;
  readonly #listeners = new Set<BackplaneListener>();
  #channel: Channel | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  publish(messages: readonly BackplaneMessage[]): void {
    const data = { soloflight: 1, messages };
    this.#open().postMessage(data);
    // A channel does not hear itself, but caches that share this backplane must hear each other.
    for (const listener of this.#listeners) for (const message of messages) listener.receive(message);
  }

  subscribe(listener: BackplaneListener): () => void {
    this.#open();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    this.#listeners.clear();
    this.#channel?.close();
    this.#channel = undefined;
  }

  #open(): Channel {
    if (this.#channel !== undefined) return this.#channel;
    const channel = new BroadcastChannel(this.#name) as unknown as Channel;
    channel.addEventListener('message', ({ data }) => {
      for (const message of messagesIn(data)) for (const listener of this.#listeners) listener.receive(message);
    });
    // In Node an open channel keeps the process alive, unless told not to.
    channel.unref?.();
    return (this.#channel = channel);
  }
}
