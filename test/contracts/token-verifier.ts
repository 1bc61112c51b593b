import { describe, it } from 'vitest';
import { tokenVerifierCases, type VerifierSuite } from '../../src/testing/token-verifier-cases.js';

/** Holds a token verifier to the contract suite that `gatehouse/testing` exports. */
export function describeTokenVerifier(name: string, suite: VerifierSuite): void {
  describe(`${name} keeps the contract of token verifiers`, () => {
    for (const { name, run } of tokenVerifierCases(suite)) it(name, run);
  });
}
