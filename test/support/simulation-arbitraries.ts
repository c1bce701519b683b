// Cases of simulations as fast-check makes and shrinks them.
import type { FaultPlan } from '../../src/testing/index.js';
import { fc } from './property.ts';
import type { Case, Command, Script } from './simulation.ts';

/** What the clients of a case may do, and where. */
export interface CaseOptions {
  readonly processes: readonly string[];
  readonly keys: readonly string[];
  readonly verbs: readonly Command['do'][];
  readonly faults: fc.Arbitrary<FaultPlan>;
}

/** A case with up to four clients. Shrinks to fewer commands, with shorter pauses, and fewer faults. */
export function anyCase({ processes, keys, verbs, faults }: CaseOptions): fc.Arbitrary<Case> {
  const command: fc.Arbitrary<Command> = fc.record({
    after: fc.nat(60),
    do: fc.constantFrom(...verbs),
    key: fc.constantFrom(...keys),
  });
  const script: fc.Arbitrary<Script> = fc.record({
    process: fc.constantFrom(...processes),
    commands: fc.array(command, { maxLength: 25, size: 'max' }),
  });
  return fc.record({ faults, scripts: fc.array(script, { minLength: 1, maxLength: 4 }) });
}
