/** Ready to paste: how each of the usual clients is told of this server and its token. */
export function clientConfiguration(mcpUrl: string, token: string): string {
  const header = `Authorization: Bearer ${token}`;
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'hello', arguments: { name: 'world' } },
  });
  return [
    'A personal token was made. It is shown this once and kept only as a hash:',
    '',
    `    ${token}`,
    '',
    'Claude Code',
    '',
    `    claude mcp add --transport http gatehouse ${mcpUrl} --header "${header}"`,
    '',
    'Cursor (~/.cursor/mcp.json)',
    '',
    indented({ mcpServers: { gatehouse: { url: mcpUrl, headers: { Authorization: `Bearer ${token}` } } } }),
    '',
    'VS Code (.vscode/mcp.json)',
    '',
    indented({ servers: { gatehouse: { type: 'http', url: mcpUrl, headers: { Authorization: `Bearer ${token}` } } } }),
    '',
    'curl',
    '',
    `    curl -s ${mcpUrl} -H '${header}' -H 'Content-Type: application/json' \\`,
    `      -H 'Accept: application/json, text/event-stream' -d '${body}'`,
    '',
  ].join('\n');
}

function indented(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/^/gm, '    ');
}
