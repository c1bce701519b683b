import { SoloflightError } from '../errors.js';

/** The batcher was closed. */
export class BatcherClosedError extends SoloflightError {
  constructor() {
    super('SOLOFLIGHT_BATCHER_CLOSED', 'The batcher is closed. Create a new one, or close it later');
  }
}

/** The handler of a batch, or a sink, did not answer within its time (milliseconds). */
export class DeliveryTimeoutError extends SoloflightError {
  readonly maxDuration: number;

  constructor(what: string, maxDuration: number) {
    super(
      'SOLOFLIGHT_DELIVERY_TIMEOUT',
      `The ${what} did not answer within ${maxDuration} ms. If it may take longer, raise \`maxDuration\`; if not, pass its \`signal\` on so that it stops`,
    );
    this.maxDuration = maxDuration;
  }
}
