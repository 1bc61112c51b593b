import { expect, it } from 'vitest';
import { canonicalResource } from './resource.js';

const ours = {
  publicUrl: 'https://mcp.example.com',
  mcpUrl: 'https://mcp.example.com/mcp',
  adminUrl: 'https://mcp.example.com/admin/v1',
};

it.each([
  ['https://mcp.example.com/mcp', ours.mcpUrl],
  ['https://mcp.example.com/mcp/', ours.mcpUrl],
  ['https://mcp.example.com', ours.mcpUrl],
  ['https://mcp.example.com/', ours.mcpUrl],
  ['HTTPS://MCP.example.COM/mcp', ours.mcpUrl],
  ['https://mcp.example.com:443/mcp', ours.mcpUrl],
  ['https://mcp.example.com/admin/v1', ours.adminUrl],
  ['https://mcp.example.com/admin', null],
  ['https://mcp.example.com/MCP', null],
  ['https://mcp.example.com/mcp/x', null],
  ['https://mcp.example.com/x/../mcp', null],
  ['https://mcp.example.com/mcp?x=1', null],
  ['https://mcp.example.com/mcp#x', null],
  ['https://user@mcp.example.com/mcp', null],
  ['http://mcp.example.com/mcp', null],
  ['https://evil.example/mcp', null],
  ['https://mcp.example.com.evil.example/mcp', null],
  ['mcp', null],
  ['', null],
])('D1, RS-4, AS-6: resource %s means %s', (asked, expected) => {
  expect(canonicalResource(asked, ours)).toBe(expected);
});
