import { execFileSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { afterAll, expect, it } from 'vitest';
import { freePort } from '../gatehouse.js';
import { gatehouse, scratchFolder } from './process.js';

const folder = scratchFolder();
afterAll(() => folder.remove());

function makeCertificate(name: string): void {
  const out = (file: string) => join(folder.path, file);
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', out('new.key')];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', out('new.pem'), ...subject], { stdio: 'ignore' });
  renameSync(out('new.key'), out('tls.key'));
  renameSync(out('new.pem'), out('tls.pem'));
}

const nameServed = (port: number) =>
  new Promise<unknown>((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const certificate: PeerCertificate = socket.getPeerCertificate();
      socket.end();
      resolve(certificate.subject.CN);
    }).on('error', reject);
  });

it('serves https, and takes a renewed certificate into use without a restart', { timeout: 90_000 }, async () => {
  makeCertificate('first');
  const port = await freePort();
  const files = { GATEHOUSE_TLS_CERT_FILE: 'tls.pem', GATEHOUSE_TLS_KEY_FILE: 'tls.key' };
  const run = gatehouse(['serve'], { cwd: folder.path, env: { GATEHOUSE_PORT: String(port), ...files } });
  await run.said(`Gatehouse serves MCP on https://localhost:${port}/mcp`);
  expect(await nameServed(port)).toBe('first');
  makeCertificate('second');
  await expect.poll(() => nameServed(port), { timeout: 15_000, interval: 250 }).toBe('second');
  run.child.kill('SIGTERM');
  expect(await run.exit).toBe(0);
});
