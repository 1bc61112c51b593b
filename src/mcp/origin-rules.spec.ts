import { describe, expect, it } from 'vitest';
import { isAllowedHost, isAllowedOrigin } from './origin-rules.js';

const local = { publicUrl: 'http://localhost:8000', allowedOrigins: [], listenHost: '127.0.0.1' };
const hosted = { publicUrl: 'https://mcp.example.com', allowedOrigins: ['https://app.example'], listenHost: '0.0.0.0' };

describe('isAllowedOrigin', () => {
  it.each([
    [local, undefined, true],
    [local, 'http://localhost:8000', true],
    [local, 'http://127.0.0.1:6274', true],
    [local, 'http://[::1]:6274', true],
    [local, 'https://evil.example', false],
    [local, 'http://localhost.evil.example', false],
    [local, 'null', false],
    [local, '', false],
    [hosted, 'https://mcp.example.com', true],
    [hosted, 'https://MCP.example.com', true],
    [hosted, 'https://app.example', true],
    [hosted, 'https://app.example:8443', false],
    [hosted, 'http://mcp.example.com', false],
    [hosted, 'http://localhost:6274', false],
    [{ ...hosted, allowedOrigins: ['*'] }, 'https://any.example', true],
    [{ ...hosted, allowedOrigins: ['*'] }, 'null', false],
    [{ ...hosted, allowedOrigins: ['moz-extension://abc'] }, 'moz-extension://abc', true],
    [{ ...hosted, allowedOrigins: ['moz-extension://abc'] }, 'moz-extension://xyz', false],
  ])('HT-2: with %j the origin %s: %s', (rules, origin, allowed) => {
    expect(isAllowedOrigin(origin, rules)).toBe(allowed);
  });
});

describe('isAllowedHost', () => {
  it.each([
    [local, 'localhost:8000', true],
    [local, '127.0.0.1:8000', true],
    [local, '[::1]:8000', true],
    [local, 'evil.example', false],
    [local, 'evil.example:8000', false],
    [local, undefined, false],
    [local, 'a b', false],
    [{ ...local, publicUrl: 'https://mcp.example.com' }, 'mcp.example.com', true],
    [hosted, 'anything.example', true],
    [hosted, 'a b', false],
    [local, 'user@localhost', false],
    [local, 'localhost/..', false],
    [hosted, 'mcp.example.com:99999', false],
    [hosted, undefined, false],
  ])('sec-38: with %j the Host %s: %s', (rules, host, allowed) => {
    expect(isAllowedHost(host, rules)).toBe(allowed);
  });
});
