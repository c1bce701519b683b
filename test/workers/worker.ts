import { DurableObject } from 'cloudflare:workers';

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import('./worker.js');
    }
    interface Env {
      readonly BARE: DurableObjectNamespace<BareObject>;
    }
  }
}

/** An object with nothing but storage; tests bring their own code by `runInDurableObject`. */
export class BareObject extends DurableObject {
  override fetch(): Response {
    return new Response('bare');
  }
}

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  fetch: () => new Response('worker'),
} satisfies ExportedHandler<Cloudflare.Env>;
