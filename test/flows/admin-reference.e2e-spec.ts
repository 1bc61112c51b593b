import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Administration, done, unfit } from '../admin-client.js';
import { type RunningGatehouse, startGatehouse } from '../gatehouse.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe('the documents of the admin API', () => {
  let gatehouse: RunningGatehouse;

  beforeAll(async () => {
    gatehouse = await startGatehouse({ env: { GATEHOUSE_ADMIN_TOKEN: ADMIN } });
  });
  afterAll(() => gatehouse.close());

  it('the OpenAPI document names this installation, and every operation in it is served', async () => {
    const { document, operations, api } = await Administration.of(gatehouse.url, ADMIN);
    expect(document).toMatchObject({ openapi: '3.1.0', servers: [{ url: gatehouse.url }] });
    for (const { operationId } of operations) {
      if (operationId === 'rotateKeys') continue;
      const { error, response } = await api[operationId](unfit({ path: { id: 'none' } }));
      expect(response.status, operationId).not.toBe(405);
      if (response.status === 404) expect(error?.detail, operationId).toMatch(/^There is no such/);
    }
  });

  it('sec-17: the reference page needs no token, runs no script, loads nothing, and cannot be framed', async () => {
    const page = await fetch(`${gatehouse.url}/admin/docs`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch('text/html');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    const markup = await page.text();
    expect(markup).toContain('PATCH /users/:id');
    expect(markup).toContain(`${gatehouse.url}/admin/v1`);
    expect(markup).not.toContain(ADMIN);
  });

  it('works without any login provider: administrators make personal tokens by the admin token', async () => {
    const { api: admin } = await Administration.of(gatehouse.url, ADMIN);
    const body = await done(admin.createToken({ body: { name: 'ci' } }));
    expect(body.user).toBeNull();
    const answer = await fetch(gatehouse.mcpUrl, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${body.token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    });
    expect(answer.status).toBe(200);
  });
});
