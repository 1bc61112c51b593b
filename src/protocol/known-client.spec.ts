import { expect, it } from 'vitest';
import { recogniseClient } from './known-client.js';

it('recognises well-known clients by redirect URI, metadata document, name and user agent', () => {
  const cases: [Parameters<typeof recogniseClient>[0], string | null][] = [
    [{ redirectUris: ['https://claude.ai/api/mcp/auth_callback'], name: 'Claude' }, 'Claude'],
    [{ clientId: 'https://claude.ai/oauth/claude-code-client-metadata' }, 'Claude Code'],
    [{ name: 'Claude Code (docs)', redirectUris: ['http://localhost:51234/callback'] }, 'Claude Code'],
    [{ redirectUris: ['https://chatgpt.com/connector_platform_oauth_redirect'] }, 'ChatGPT'],
    [{ redirectUris: ['cursor://anysphere.cursor-mcp/oauth/callback'] }, 'Cursor'],
    [
      { redirectUris: ['http://127.0.0.1:33418', 'https://vscode.dev/redirect'], name: 'Visual Studio Code' },
      'VS Code',
    ],
    [{ name: 'Codex' }, 'Codex'],
    [{ name: 'Gemini CLI MCP Client' }, 'Gemini CLI'],
    [{ name: 'MCP CLI Proxy' }, 'mcp-remote'],
    [{ redirectUris: ['http://localhost:6274/oauth/callback'] }, 'MCP Inspector'],
    [{ userAgent: 'claude-code/2.1 (cli)' }, 'Claude Code'],
    [{ name: 'My tool', redirectUris: ['http://localhost:1/cb'], userAgent: 'node' }, null],
    [{}, null],
  ];
  for (const [traits, label] of cases) expect(recogniseClient(traits), JSON.stringify(traits)).toBe(label);
});
