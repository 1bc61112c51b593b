import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { gatehouse, scratchFolder } from './process.js';

const folder = scratchFolder();
const write = (name: string, text: string): void => writeFileSync(join(folder.path, name), text);
afterAll(() => folder.remove());

/** The message of a start that these variables prevent. */
async function refusal(env: Record<string, string>): Promise<string> {
  const run = gatehouse(['serve'], { cwd: folder.path, env: { GATEHOUSE_PORT: '0', ...env } });
  expect(await run.exit).toBe(78);
  expect(run.stdout()).toBe('');
  return run.stderr();
}

describe('a start that is refused names every fault in one message', { timeout: 60_000 }, () => {
  it('whatever kind of fault they are', async () => {
    write('cert.pem', 'no certificate');
    const said = await refusal({
      GATEHOUSE_METRICS: 'x',
      GATEHOUSE_HOST: '0.0.0.0',
      GATEHOUSE_PROVIDERS: 'github,static-token,jwt',
      GATEHOUSE_TRUSTED_PROXIES: '0.0.0.0/1,128.0.0.0/1,proxy',
      GATEHOUSE_ALLOWED_ORIGINS: 'foo',
      GATEHOUSE_ADMINS: 'emial:a@b.c,github-team:acme',
      GATEHOUSE_MCP_PATH: '/token',
      GATEHOUSE_DATABASE_URL: 'postgres://u:very-secret@db/x',
      GATEHOUSE_TLS_CERT_FILE: 'cert.pem',
      GATEHOUSE_TLS_KEY_FILE: 'absent.pem',
      GATEHOUSE_STATIC_TOKEN_TOKENS: '{"dev-token-999secret":{"client_id":5,"scopes":"basic"},"short":{}}',
      GATEHOUSE_STATIC_TOKEN_TOKENS_FILE: 'absent.json',
      GATEHOUSE_JWT_PUBLIC_KEY: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
    });
    for (const line of [
      /^ {2}GATEHOUSE_METRICS: got "x", wants on or off$/m,
      /^ {2}GATEHOUSE_PUBLIC_URL: is missing/m,
      /^ {2}GATEHOUSE_ALLOW: is missing/m,
      /^ {2}GATEHOUSE_ADMINS: .*"emial" is no kind of rule.*"github-team:acme" wants organisation\/team$/m,
      /^ {2}GATEHOUSE_SECRET: is missing/m,
      /^ {2}GATEHOUSE_TLS_CERT_FILE: got cert\.pem, wants a certificate in PEM$/m,
      /^ {2}GATEHOUSE_TLS_KEY_FILE: cannot read absent\.pem \(ENOENT\)$/m,
      /^ {2}GATEHOUSE_TRUSTED_PROXIES: got "proxy", wants an address or CIDR/m,
      /^ {2}GATEHOUSE_TRUSTED_PROXIES: .*would trust every address/m,
      /^ {2}GATEHOUSE_ALLOWED_ORIGINS: got "foo"/m,
      /^ {2}GATEHOUSE_MCP_PATH: got "\/token"/m,
      /^ {2}GATEHOUSE_GITHUB_CLIENT_ID: is missing/m,
      /^ {2}GATEHOUSE_GITHUB_CLIENT_SECRET: is missing/m,
      /^ {2}GATEHOUSE_STATIC_TOKEN_TOKENS: is set, and GATEHOUSE_STATIC_TOKEN_TOKENS_FILE too; wants only one of them$/m,
      /^ {2}GATEHOUSE_STATIC_TOKEN_TOKENS_FILE: cannot read \S*absent\.json \(ENOENT\)$/m,
      /^ {2}GATEHOUSE_JWT_PUBLIC_KEY: .*wants a public key in PEM/ms,
      /^ {2}GATEHOUSE_JWT_ISSUER: is missing/m,
    ])
      expect(said).toMatch(line);
    expect(said).not.toContain('very-secret');
    expect(said).not.toContain('999secret');
  });

  it('says what a list of static tokens wants and which entry is wrong, never the token', async () => {
    const list =
      '{"dev-token-999secret":{"client_id":"ci"},"other-token-secret":{"client_id":5,"scopes":"basic"},"short":{}}';
    const said = await refusal({ GATEHOUSE_STATIC_TOKEN_TOKENS: list });
    expect(said).toContain('wants a JSON object of token → {"client_id", "scopes", "expires_at"}');
    expect(said).toContain(
      'entry 2: client_id wants a text; entry 2: scopes wants a list of texts; entry 3: a token wants',
    );
    expect(said).not.toMatch(/entry 1\b|dev-token|other-token|short/);
    write('tokens.json', list);
    const fromFile = await refusal({ GATEHOUSE_STATIC_TOKEN_TOKENS_FILE: 'tokens.json', GATEHOUSE_METRICS: 'x' });
    expect(fromFile).toContain('GATEHOUSE_STATIC_TOKEN_TOKENS_FILE: wants a JSON object of token →');
    expect(fromFile).toContain('entry 2: client_id wants a text');
    expect(fromFile).toContain('GATEHOUSE_METRICS');
    expect(fromFile).not.toMatch(/dev-token|other-token|short/);
  });

  it('a key that belongs to another certificate, and a private key where a public one is wanted, which is not shown', async () => {
    const pair = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=x',
    ];
    for (const name of ['one', 'two'])
      execFileSync('openssl', [...pair, '-keyout', `${name}.key`, '-out', `${name}.pem`], {
        cwd: folder.path,
        stdio: 'ignore',
      });
    const said = await refusal({
      GATEHOUSE_TLS_CERT_FILE: 'one.pem',
      GATEHOUSE_TLS_KEY_FILE: 'two.key',
      GATEHOUSE_PROVIDERS: 'jwt,authkit',
      GATEHOUSE_JWT_ISSUER: 'https://idp.example',
      GATEHOUSE_JWT_PUBLIC_KEY: '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----',
    });
    expect(said).toContain('GATEHOUSE_TLS_KEY_FILE: two.key does not belong to the certificate in one.pem');
    expect(said).toContain('GATEHOUSE_JWT_PUBLIC_KEY: got a private key, which is not shown here, wants a public key');
    expect(said).not.toContain('MIGHAg');
    expect(said).toContain('wants the AuthKit domain, for example `https://your-app.authkit.app`');
  });
});
