import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Settings, settingsSchema } from '../config/settings.js';
import type { ProviderChoice } from '../providers/contract.js';
import { banner, databaseName, unsafe } from './banner.js';
import { errorFacts } from './error-facts.js';
import { Log } from './log.js';
import { redact } from './redact.js';

const SECRETS = [
  'gth_pat_2eNj1XkM69sjV_YHub3468qppZbu87zv18YYwXHtAQgRF-l9n',
  'Bearer abcdefghijklmnop',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  'https://app.example/cb?code=AUTHCODE1234&state=STATE5678',
  '{"client_secret":"S3CRET-VALUE","refresh_token":"R3FRESH"}',
  'postgres://gatehouse:PASSW0RD@db/gatehouse',
  'gho_16C7e42F292c6912E7710c838347Ae178B4a',
];
const PLAIN = /2eNj1X|abcdefghijk|c2lnbm|AUTHCODE|STATE5678|S3CRET|R3FRESH|PASSW0RD|16C7e42/;

function collecting(): { lines: string[]; log: Log } {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return { lines, log: new Log({ logLevel: 'info', format: 'json' }, destination) };
}

describe('the log', () => {
  it.each(SECRETS)('sec-47: hides what looks like a secret: %s', (text) => {
    expect(redact(`before ${text} after`)).not.toMatch(PLAIN);
    const { lines, log } = collecting();
    log.warn(`upstream said ${text}`, 'Providers');
    log.error(new Error(text, { cause: new Error(text) }), 'Providers');
    log.log({ detail: text, token: 'AUTHCODE1234' });
    expect(lines).toHaveLength(3);
    expect(lines.join()).not.toMatch(PLAIN);
  });

  it('leaves ordinary words alone', () => {
    const text = 'the token is unknown, expired or revoked; code 42; state machine; GET /token 200';
    expect(redact(text)).toBe(text);
  });

  it('sec-47: an error is type, message and frames, without folders of the host', () => {
    const facts = errorFacts(new TypeError('broken', { cause: new Error('root') }));
    expect(facts).toMatchObject({ type: 'TypeError', message: 'broken', cause: { message: 'root' } });
    expect(facts.at?.[0]).toMatch(/\(redact\.spec\.ts:\d+:\d+\)$/);
    expect(JSON.stringify(facts)).not.toContain(process.cwd());
  });

  it('keeps the framework’s chatter for debugging', () => {
    const { lines, log } = collecting();
    log.log('Mapped {/mcp, POST} route', 'RouterExplorer');
    log.error('listen EADDRINUSE', 'stack\n    at a (b.js:1:1)', 'NestApplication');
    log.log('ready', 'Start');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['ready']);
  });
});

describe('the banner', () => {
  const login = { id: 'github', kind: { kind: 'github', sort: 'login' }, settings: {} } as unknown as ProviderChoice;
  const settings = (input: object) => new Settings(settingsSchema.parse(input), { providers: [login] });

  it('says where, with what, and where things are kept, without passwords', () => {
    const text = banner(settings({ databaseUrl: 'postgres://gatehouse:PASSW0RD@db:5432/mcp' })).join('\n');
    expect(text).toContain('http://localhost:8000/mcp');
    expect(text).toContain('Postgres db:5432/mcp');
    expect(text).not.toMatch(PLAIN);
    expect(databaseName('sqlite:data/x.sqlite')).toBe('SQLite data/x.sqlite');
  });

  it('says what is unsafe', () => {
    expect(unsafe(settings({}))).toEqual([]);
    const open = settings({ publicUrl: 'https://mcp.example.com', allowedOrigins: '*', rateLimits: 'off' });
    expect(unsafe(open).join('\n')).toMatch(
      /everybody who has an account.*\n.*GATEHOUSE_ALLOWED_ORIGINS.*\n.*rate limits/,
    );
    expect(unsafe(settings({ host: '0.0.0.0' }))[0]).toContain('in clear');
    expect(unsafe(settings({ admins: '*' })).join('\n')).toContain('GATEHOUSE_ADMINS');
    expect(unsafe(settings({ admins: 'email:boss@example.com' }))).toEqual([]);
  });
});
