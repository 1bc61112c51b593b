import assert from 'node:assert/strict';
import { type ProviderHouse, type TokenVerifier, UpstreamUnavailable } from '../providers/contract.js';
import type { FakeAnswer, FakeServer } from './fake-server.js';
import { testHouse, type TestHouse } from './house.js';
import type { ContractCase } from './login-scenes.js';

/** A token verifier beside the fake that decides. */
export interface VerifierFixture {
  /** Absent: the verifier asks nobody. */
  readonly fake?: FakeServer;
  /** The route whose failure makes a decision impossible, for example `GET /jwks`. */
  readonly route?: string;
  create(house: ProviderHouse, id: string): TokenVerifier;
  /** A good token of the subject `alice-1` with these scopes; it ends. */
  good(scopes: readonly string[]): Promise<string>;
  /** Tokens that must not be accepted, by what is wrong with them. */
  readonly bad: Readonly<Record<string, () => Promise<string>>>;
}

/** The names of `bad`, which a suite must know before the fixture is open. */
export interface VerifierSuite {
  readonly open: () => Promise<VerifierFixture>;
  readonly bad: readonly string[];
  readonly hasUpstream: boolean;
}

const FAULTS: Readonly<Record<string, FakeAnswer>> = {
  'is silent': 'hang',
  'cuts the connection': 'reset',
  'sends 50 MB': 'flood',
  'says null': { body: null },
  'says HTML with 200': { body: '<!doctype html>' },
  'says nothing': { body: '' },
  'says 500': { status: 500, body: 'oops' },
  'says 401': { status: 401, body: '' },
  'says 404': { status: 404, body: '{}' },
  'says 429': { status: 429, body: '' },
  redirects: { status: 302, headers: { location: '/elsewhere' }, body: '' },
};
const JUNK = [
  '',
  ' ',
  'x',
  'a.b.c',
  '..',
  'eyJhbGciOiJub25lIn0.e30.',
  'ä'.repeat(40),
  'x'.repeat(8000),
  "' OR 1=1 --",
  '\u0000',
];

type Play = (fixture: VerifierFixture, verifier: TokenVerifier, house: TestHouse) => Promise<void>;

const quietScene = (scene: (name: string, play: Play) => ContractCase): ContractCase =>
  scene('sec-34: strangers cannot fill the log while the upstream fails', async (fixture, verifier, house) => {
    fixture.fake?.fault(fixture.route ?? '*', { status: 500, body: 'oops' });
    let undecided = 0;
    for (let i = 0; i < 40; i++)
      await verifier.verify(await fixture.good([`scope-${i}`])).catch((error: unknown) => {
        assert.ok(error instanceof UpstreamUnavailable, String(error));
        assert.ok(error.isQuiet, 'the caller would write a line for each token');
        assert.ok(error.retryAfter >= 1);
        undecided++;
      });
    assert.equal(undecided, 40);
    assert.ok(house.lines.length <= 2, house.lines.join('\n'));
  });

/** What every token verifier must withstand. Independent of any test runner. */
export function tokenVerifierCases({ open, bad, hasUpstream }: VerifierSuite): ContractCase[] {
  const scene = (name: string, play: Play): ContractCase => ({
    name,
    run: async () => {
      const fixture = await open();
      const house = testHouse();
      try {
        await play(fixture, fixture.create(house, 'under-test'), house);
      } finally {
        await fixture.fake?.close();
        await house.close();
      }
    },
  });
  const faults = hasUpstream ? Object.entries(FAULTS) : [];
  return [
    scene('T9: accepts a good token and says whose it is and when it ends', async (fixture, verifier) => {
      const token = await fixture.good(['mcp', 'repo:read']);
      const principal = await verifier.verify(token);
      assert.ok(principal);
      assert.equal(principal.via, 'under-test');
      assert.ok(principal.key.startsWith('under-test:'), principal.key);
      assert.ok(principal.key.endsWith('alice-1'), principal.key);
      assert.equal(principal.subject, 'alice-1');
      assert.equal(principal.user, null);
      assert.deepEqual(principal.scopes, ['mcp', 'repo:read']);
      assert.ok(principal.expiresAt !== null && principal.expiresAt > Date.now() / 1000);
      assert.ok(principal.recheckAt === undefined || principal.recheckAt <= principal.expiresAt);
      assert.ok(!JSON.stringify(principal).includes(token), 'the token stands in the Principal');
    }),
    scene('junk is not valid, and no error', async (_, verifier) => {
      for (const junk of JUNK) assert.equal(await verifier.verify(junk), null, JSON.stringify(junk.slice(0, 40)));
    }),
    ...(hasUpstream ? [quietScene(scene)] : []),
    scene('two instances of the kind do not see each other', async (fixture, verifier) => {
      const house = testHouse();
      const other = fixture.create(house, 'second-one');
      const token = await fixture.good(['mcp']);
      assert.equal((await other.verify(token))?.via, 'second-one');
      assert.equal((await verifier.verify(token))?.via, 'under-test');
      await house.close();
    }),
    ...bad.map((name) =>
      scene(`${name} is not valid`, async (fixture, verifier) => {
        const make = fixture.bad[name];
        assert.ok(make);
        assert.equal(await verifier.verify(await make()), null);
        assert.ok(await verifier.verify(await fixture.good(['mcp'])), 'a good token is refused afterwards');
      }),
    ),
    ...faults.map(([name, answer]) =>
      scene(
        `sec-35: an upstream that ${name} leaves the token undecided, never refused`,
        async (fixture, verifier, house) => {
          const token = await fixture.good(['mcp']);
          fixture.fake?.fault(fixture.route ?? '*', answer);
          if (answer === 'hang') house.hurry(300);
          const error = await verifier.verify(token).then(
            () => assert.fail('the token was decided'),
            (error: unknown) => error,
          );
          assert.ok(error instanceof UpstreamUnavailable, String(error));
          fixture.fake?.mend();
          house.hurry(undefined);
          house.pass(error.retryAfter);
          assert.ok(await verifier.verify(token), 'a good token is refused after the upstream came back');
        },
      ),
    ),
  ];
}
