import { describe, it } from 'vitest';
import { type LoginFixture } from '../../src/testing/login-scenes.js';
import { loginProviderCases } from '../../src/testing/login-provider-cases.js';

/** Holds a login provider to the contract suite that `gatehouse/testing` exports. */
export function describeLoginProvider(name: string, open: () => Promise<LoginFixture>): void {
  describe(`${name} keeps the contract of login providers`, () => {
    for (const { name, run } of loginProviderCases(open)) it(name, run);
  });
}
