import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PUBLIC_EXAMPLE } from '../../test/public-example.js';
import { seeded } from '../../test/random.js';
import { FakeServer } from '../testing/fake-server.js';
import { isGlobalUnicast } from './address.js';
import { HttpOutbound } from './http-outbound.js';
import { OutboundFailed } from './outbound.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function fakeServer(): Promise<FakeServer> {
  const fake = await new FakeServer().listen();
  open.push(fake);
  return fake;
}

function outbound(...parts: ConstructorParameters<typeof HttpOutbound>): HttpOutbound {
  const made = new HttpOutbound(...parts);
  open.push({ close: () => made.onApplicationShutdown() });
  return made;
}

async function failureOf(sent: Promise<unknown>): Promise<OutboundFailed> {
  const error: unknown = await sent.then(
    () => null,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(OutboundFailed);
  return error as OutboundFailed;
}

/** A resolver that answers one address for every name, and counts. */
function resolvingTo(...addresses: string[]) {
  const asked: string[] = [];
  const resolve: NonNullable<NonNullable<ConstructorParameters<typeof HttpOutbound>[0]>['resolve']> = (
    host,
    _,
    done,
  ) => {
    asked.push(host);
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return { resolve, asked };
}

describe('AS-8, I5, sec-24: a stranger’s address', () => {
  it.each([
    '127.0.0.1',
    '127.1.2.3',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.8',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.9',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12:3456::1',
    'fec0::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2002:0808:0808::1',
    '2001::1',
    '2001:db8::1',
    '2001:10::1',
    '100::1',
    '4000::1',
    '5f00::1',
    'not an address',
    '',
  ])('%s is not dialled', (address) => expect(isGlobalUnicast(address)).toBe(false));

  it('no special address is dialled in any form that carries it, whatever its bits', () => {
    const random = seeded(24);
    const special = ['0', '10', '127', '169.254', '172.16', '192.168', '100.64', '198.18', '224', '240', '255'];
    for (let i = 0; i < 2000; i++) {
      const start = random.of(special).split('.');
      const bytes = Array.from({ length: 4 }, (_, at) => Number(start[at] ?? random.below(256)));
      const pair = (at: number): string => ((bytes[at]! << 8) | bytes[at + 1]!).toString(16);
      const [high, low, dotted] = [pair(0), pair(2), bytes.join('.')];
      for (const address of [
        dotted,
        `::ffff:${dotted}`,
        `::ffff:${high}:${low}`,
        `::${high}:${low}`,
        `::ffff:0:${high}:${low}`,
        `64:ff9b::${high}:${low}`,
        `64:ff9b:1::${high}:${low}`,
        `2002:${high}:${low}::1`,
        `2001:0:${high}:${low}::`,
        `fe80::${high}:${low}`,
      ])
        expect([address, isGlobalUnicast(address)]).toEqual([address, false]);
    }
  });

  it.each(['8.8.8.8', '1.1.1.1', '2606:4700::1111', '2a00:1450:4001::1', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    '%s is public',
    (address) => expect(isGlobalUnicast(address)).toBe(true),
  );

  it.each([
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::ffff:127.0.0.1]/',
    'https://169.254.169.254/latest',
    'http://example.com/',
    'https://user:pw@example.com/',
    'ftp://example.com/',
  ])('%s is refused before anything is resolved', async (url) => {
    const { resolve, asked } = resolvingTo('8.8.8.8');
    const failure = await failureOf(outbound({ resolve }).send(new URL(url), { trust: 'stranger' }));
    expect(failure.kind).toBe('refused-address');
    expect(asked).toEqual([]);
  });

  it.each([[['127.0.0.1']], [['8.8.8.8', '10.0.0.1']], [['::1']], [[]]])(
    'a name that leads to %s is refused',
    async (addresses) => {
      const { resolve } = resolvingTo(...addresses);
      const failure = await failureOf(
        outbound({ resolve }).send(new URL('https://rebind.example/'), { trust: 'stranger' }),
      );
      expect(failure.kind).toBe('refused-address');
    },
  );

  it('the checked address is dialled, resolved once, with the name kept in SNI and Host', async () => {
    const seen: unknown[] = [];
    const server = createServer(PUBLIC_EXAMPLE, (request, response) => {
      seen.push((request.socket as unknown as { servername: string }).servername, request.headers.host);
      response.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => new Promise((resolve) => server.closeAllConnections() ?? server.close(() => resolve())) });
    const { port } = server.address() as AddressInfo;
    const { resolve, asked } = resolvingTo('127.0.0.1');
    const answer = await outbound({ resolve, permits: () => true, ca: PUBLIC_EXAMPLE.cert }).send(
      new URL(`https://public.example:${port}/`),
      {
        trust: 'stranger',
      },
    );
    expect(answer.status).toBe(200);
    expect(seen).toEqual(['public.example', `public.example:${port}`]);
    expect(asked).toEqual(['public.example']);
  });
});

describe('the one door out', () => {
  it('follows no redirect, asks for identity encoding, sends no cookie', async () => {
    const fake = await fakeServer();
    fake.on('GET /a', () => ({ status: 302, headers: { location: '/b', 'set-cookie': 'a=1' }, body: '' }));
    const door = outbound();
    expect((await door.send(new URL('/a', fake.origin))).status).toBe(302);
    await door.send(new URL('/a', fake.origin));
    expect(fake.count('GET /b')).toBe(0);
    expect(fake.requests[1]?.headers['accept-encoding']).toBe('identity');
    expect(fake.requests[1]?.headers.cookie).toBeUndefined();
  });

  it('refuses an encoding it did not ask for', async () => {
    const fake = await fakeServer();
    fake.on('GET /zip', () => ({ headers: { 'content-encoding': 'gzip' }, body: 'x' }));
    expect((await failureOf(outbound().send(new URL('/zip', fake.origin)))).kind).toBe('unreachable');
  });

  it('sends method, headers and body', async () => {
    const fake = await fakeServer();
    fake.on('POST /p', ({ body, headers }) => ({ body: { body, type: headers['content-type'] } }));
    const answer = await outbound().send(new URL('/p', fake.origin), {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain' },
      body: 'äöü',
    });
    expect(JSON.parse(answer.text)).toEqual({ body: 'äöü', type: 'text/plain' });
  });

  it.each([
    ['hang', 'timeout'],
    ['reset', 'unreachable'],
    ['flood', 'too-large'],
  ] as const)('an upstream that answers with %s is a failure of kind %s', async (fault, kind) => {
    const fake = await fakeServer();
    fake.fault('*', fault);
    expect(
      (await failureOf(outbound().send(new URL('/x', fake.origin), fault === 'hang' ? { timeoutMs: 300 } : {}))).kind,
    ).toBe(kind);
  });

  it('a time-out covers the whole exchange, body included', async () => {
    const fake = await fakeServer();
    fake.on('GET /slow', () => ({ headers: { 'content-length': '100' }, body: 'only this' }));
    expect((await failureOf(outbound().send(new URL('/slow', fake.origin), { timeoutMs: 300 }))).kind).toBe('timeout');
  });

  it('leaves a silent host alone after five failures, then tries once, then is open again', async () => {
    const fake = await fakeServer();
    let now = 0;
    const door = outbound({ now: () => now });
    const url = new URL('/x', fake.origin);
    fake.fault('*', 'reset');
    for (let i = 0; i < 7; i++) await failureOf(door.send(url));
    expect(fake.requests).toHaveLength(5);
    now = 10_000;
    await Promise.all([failureOf(door.send(url)), failureOf(door.send(url))]);
    expect(fake.requests).toHaveLength(6);
    fake.mend();
    now = 20_001;
    expect((await door.send(url)).status).toBe(404);
    expect((await door.send(url)).status).toBe(404);
  });

  it('an answer of 500 does not close the door', async () => {
    const fake = await fakeServer();
    const door = outbound();
    fake.fault('*', { status: 500, body: 'no' });
    for (let i = 0; i < 8; i++) expect((await door.send(new URL('/x', fake.origin))).status).toBe(500);
  });
});
